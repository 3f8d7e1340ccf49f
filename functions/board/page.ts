import { type Html, html } from '../shared/report/html.ts';
import { page } from '../shared/report/page.ts';
import { type Board, summaryOf } from './board.ts';

/** The board as one HTML document. */
export function boardPage(board: Board, linkOf?: (key: string) => string | undefined): string {
  const body: Html = html`<p>${summaryOf(board).text}</p>${linkOf && ''}`;
  return page({ title: 'Tocsin board', header: html`<h1>Tocsin board</h1>`, main: body, footer: '' });
}
