// The files of what is dropped, folders included, and which files are chosen from.

/** What a file dialog offers: images, and files of scanners that browsers do not know. */
export const ACCEPTED = "image/*,.dcm,.dicom,.nii,.nii.gz,.tif,.tiff,.heic,.heif";

const SCANS = /\.(dcm|dicom|nii|nii\.gz|tiff?|hei[cf])$/i;

/** Call it while the drop is handled: afterwards the browser forgets what was dropped. */
export async function droppedFiles(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry): entry is FileSystemEntry => entry !== null);
  if (!entries.some((entry) => entry.isDirectory)) return [...data.files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const inside: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    inside.push(...some);
  }
  const files = (await Promise.all(inside.sort((a, b) => (a.name < b.name ? -1 : 1)).map(filesIn))).flat();
  return files.filter((file) => file.type.startsWith("image/") || SCANS.test(file.name));
}
