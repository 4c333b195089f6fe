/** Hands a file to the person through the browser's own way of saving. */
export function saveFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the address after this task; a minute is ample even for a slow phone.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
