// Pictures that a saved tree has of the selected node.
import { useAnswer } from "../../state/answers";
import type { TreePictures } from "../../wire/types";

export function Pictures({ of, name, query }: { of: string; name: string; query: object }) {
  const { answer } = useAnswer<TreePictures>("tree/pictures", { ...query, of });
  if (!answer) return null;
  return (
    <>
      {answer.rows.map((row) => (
        <section class="elsewhere">
          <h2>{row.about}</h2>
          <ul class="crops">
            {row.pictures.map((picture, i) => (
              <li>
                <img src={picture} alt={`${name}: ${row.about.toLowerCase()}, ${i + 1} of ${row.pictures.length}`} height="84" />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}
