/*
 * Text of an HTML page in which everything is escaped that was not written as HTML.
 */

/** Markup that needs no escaping. */
export class Html {
  readonly text: string;

  /** @param text well-formed markup; only {@link html} and {@link raw} make some */
  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in markup: text and numbers are escaped, lists are joined, and what is absent is nothing. */
export type Content = Html | string | number | undefined | null | false | readonly Content[];

/** Markup with escaped values: as text between tags, or in attributes with double quotes. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, string, index) => text + string + textOf(values[index]), ''));
}

/** Markup as it is: for constants of the source only, such as style sheets. */
export function raw(text: string): Html {
  return new Html(text);
}

/**
 * A text without spaces, such as an ARN or a path, which may go on in the next line.
 *
 * @param places where it may be broken: a pattern that matches no characters, such as `/(?<=[/.])/`
 */
export function breakable(text: string, places: RegExp): Html {
  return html`${text.split(places).map((part, index) => html`${index > 0 && html`<wbr>`}${part}`)}`;
}

/** The markup of some content. */
export function textOf(content: Content): string {
  if (content === undefined || content === null || content === false) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(textOf).join('');
  return escaped(String(content));
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
      // Neither XML nor a reader of text knows these, and a name that somebody else chose may have them.
      .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) =>
        character === '\n' || character === '\t' ? character : '\ufffd',
      )
      .replace(/\p{Surrogate}/gu, '\ufffd')
  );
}
