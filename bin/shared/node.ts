/** Oldest Node.js that has all that is imported (reading .zst files); as `engines` in package.json. */
const OLDEST = [22, 15] as const;

/** What to tell who runs the CLI with this version of Node.js; nothing where it is recent enough. */
export function nodeComplaint(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const recent = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  return recent ? undefined : `expected Node.js ${OLDEST.join('.')} or later, got ${version}`;
}
