import { type Content, type Html, html, raw, textOf } from './html.ts';
import { STYLE } from './style.ts';

/** No page of Tocsin may load anything, or run anything, whatever somebody has put into a name. */
export const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** A bell, so that no browser asks a server for an icon. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1a4 4 0 0 0-4 4v4l-2 3h12l-2-3V5a4 4 0 0 0-4-4zM6 13a2 2 0 0 0 4 0z' fill='%23b3201b'/%3E%3C/svg%3E";

/** A whole page. */
export interface Page {
  /** Of the window. */
  title: string;
  /** Rules beside those of every page. */
  style?: Html;
  /** Above all else, and a landmark of its own. */
  header: Content;
  main: Content;
  footer: Content;
}

/** An HTML document that stands for itself: no script, and nothing to load. The same input gives the same bytes. */
export function page({ title, style, header, main, footer }: Page): string {
  return textOf(html`${raw('<!doctype html>')}
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="${raw(POLICY)}">
<link rel="icon" href="${raw(ICON)}">
<title>${title}</title>
<style>${STYLE}${style}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>${header}</header>
<main id="main">${main}</main>
<footer>${footer}</footer>
</body>
</html>
`);
}
