// How wide an element is, so that drawings in it keep their letters' size.
import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";

export function useWidth(element: RefObject<Element | null>, first = 604): number {
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    const take = (wide: number) => wide > 0 && setWidth(Math.floor(wide));
    take(element.current!.getBoundingClientRect().width);
    const watch = new ResizeObserver(([entry]) => entry && take(entry.contentRect.width));
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, []);
  return width;
}
