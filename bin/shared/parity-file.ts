import { type Document, isMap, isNode, isSeq, parseDocument, type YAMLSeq } from 'yaml';

/*
 * parity.yaml as a text that people keep: what they have written in it stays as it is.
 */

/** How many entries a list of them has. */
export function countEntries(entries: string): number {
  return entriesOf(entries).length;
}

/**
 * parity.yaml with more entries of one comparison, with their comments.
 *
 * @param before the file as it is, which is valid; undefined: there is none
 * @param entries a YAML list
 */
export function withEntries(before: string | undefined, comparison: string, entries: string): string {
  const document = parseDocument(before ?? 'parity: 1\n');
  const list = listAt(document, comparison);
  list.items.push(...entriesOf(entries));
  return document.toString({ lineWidth: 0, indentSeq: before === undefined || indentsLists(before) });
}

function entriesOf(text: string): unknown[] {
  const { contents } = parseDocument(text);
  if (!isSeq(contents)) return [];
  const [first] = contents.items;
  // What stands above the first entry is taken for a comment on the whole list.
  if (isNode(first) && contents.commentBefore != null) first.commentBefore = contents.commentBefore;
  return contents.items;
}

/** The list of a comparison; made where there is none. Entries in braces nobody can read. */
function listAt(document: Document, comparison: string): YAMLSeq {
  const differences: unknown = document.get('differences');
  if (isMap(differences)) differences.flow = false;
  else document.set('differences', document.createNode({}));
  const path = ['differences', comparison];
  const found: unknown = document.getIn(path);
  const list = isSeq(found) ? found : (document.createNode<unknown[]>([]) as YAMLSeq);
  if (list !== found) document.setIn(path, list);
  list.flow = false;
  return list;
}

/** Whether the items of lists stand further right than their key. */
function indentsLists(text: string): boolean {
  return !/^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*\1- /m.test(text);
}
