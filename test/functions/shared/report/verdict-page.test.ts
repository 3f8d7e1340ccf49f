import { describe, expect, it } from 'vitest';
import { html } from '../../../../functions/shared/report/html.ts';
import {
  MAX_REPORT_BYTES,
  renderReport,
  type VerdictPage,
} from '../../../../functions/shared/report/verdict-page.ts';
import type { Finding, FindingOutcome, Verdict } from '../../../../functions/shared/verdict.ts';
import { FINE, look, openBrowser } from '../../../support/browser.ts';

function findingOf(outcome: FindingOutcome, index = 0): Finding {
  return {
    check: 'zeros',
    subject: `column c${index}`,
    outcome,
    message: `Column c${index}: ${outcome}.`,
    allowed: 'at most 10%',
    observed: '38%',
    rule: { file: 'contracts/c.yaml', line: 16, column: 3 },
    samples: [{ file: 'part-0.csv', row: 7, value: '0' }, { row: 9 }],
    help: 'Look at the join.',
  };
}

function verdictOf(findings: Finding[], more: Partial<Verdict> = {}): Verdict {
  return {
    verdict: 1,
    id: '0123456789abcdef0123456789abcdef',
    gate: 'quality-gate',
    subject: 'flights',
    outcome: 'fail',
    reason: 'Column delay: 100% zeros, at most 10% allowed.',
    findings,
    notChecked: [],
    inputs: {},
    tocsin: '0.1.0',
    ...more,
  };
}

const PAGE: VerdictPage = {
  heading: 'Dataset flights',
  facts: [['File', 's3://data/flights/2001-02.parquet']],
  sections: [{ title: 'Columns', body: html`<p>picture</p>` }, undefined],
};

const render = (verdict: Verdict, page: Partial<VerdictPage> = {}) =>
  renderReport(verdict, () => ({ ...PAGE, ...page }));

/** Where each of some texts stands; -1 of one that is missing. */
const places = (text: string, parts: readonly string[]) => parts.map((part) => text.indexOf(part));

describe('the report of a verdict', () => {
  it('says outcome and reason first, then findings, then pictures, then what it is bound to', () => {
    const notChecked = [{ subject: 'column x', check: 'drift', why: 'no baseline' }];
    const text = render(verdictOf([findingOf('fail')], { notChecked }));
    const at = places(text, [
      '<h1>Dataset flights',
      '</span> fail</span>',
      'Column delay: 100% zeros',
      '1 check: 1 fail; 1 not checked.',
      '<h2>Findings</h2>',
      '<h2>Columns</h2>',
      '<h2>Not checked</h2>',
      '<td>no baseline</td>',
      '<h2>What this verdict is bound to</h2>',
      's3://data/flights/2001-02.parquet',
      '0123456789abcdef0123456789abcdef',
      'href="verdict.json"',
    ]);
    expect(at).not.toContain(-1);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
  });

  it('lists findings worst first, with their rule, samples and next step; those that passed are folded', () => {
    const text = render(
      verdictOf([
        findingOf('pass', 1),
        findingOf('warn', 2),
        findingOf('fail', 3),
        findingOf('inconclusive', 4),
      ]),
    );
    const at = places(text, ['Column c3: fail.', 'Column c4:', 'Column c2:', '<details>', 'Column c1:']);
    expect(at).not.toContain(-1);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
    expect(text).toContain('contracts/c.yaml:16');
    expect(text).toContain('part-0.csv row 7: <span class="mono">0</span>; row 9');
    expect(text).toContain('allowed at most 10%, observed 38%');
    // The same next step is said once in a row.
    expect(text.match(/Look at the join/g)).toHaveLength(2);
  });

  it('folds what is beyond the sixth, and counts what is beyond eighty', () => {
    const text = render(verdictOf(Array.from({ length: 100 }, (_, index) => findingOf('fail', index))));
    expect(text).toContain('<summary>94 more that did not pass</summary>');
    expect(text).toContain('And 20 more, in verdict.json.');
    expect(text).toContain('Column c79:');
    expect(text).not.toContain('Column c80:');
  });

  it('says of a pass that nothing was found wrong', () => {
    const text = render(verdictOf([findingOf('pass')], { outcome: 'pass', reason: 'All is well.' }));
    expect(text).toContain('Nothing was found wrong.');
    expect(text).toContain('The gate is open. 1 check: 1 pass.');
  });

  it('is the same bytes for the same verdict', () => {
    const verdict = verdictOf([findingOf('fail')]);
    expect(render(verdict)).toBe(render(verdict));
  });

  it('shows the verdict also where its pictures cannot be drawn', () => {
    const text = renderReport(verdictOf([findingOf('fail')]), () => {
      throw new Error('no <bins>');
    });
    expect(text).toContain('They could not be drawn: no &lt;bins&gt;');
    expect(text).toContain('Column c0: fail.');
    expect(text).toContain('<h1>Quality gate flights');
  });

  it('leaves out sections that do not fit, the last first, and says which', () => {
    const section = (title: string, length: number) => ({ title, body: 'x'.repeat(length) });
    const sections = [section('Small', 1_000), section('Large', 250_000), section('Last', 60_000)];
    const text = render(verdictOf([findingOf('fail')]), { sections });
    expect(text).toContain('<h2>Large</h2>');
    expect(text).not.toContain('<h2>Last</h2>');
    expect(text).toContain('There was no room for: Last.');
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_REPORT_BYTES);
  });

  it('fits whatever is in its findings', () => {
    const long = '\u{1F514}<&"'.repeat(20_000);
    const findings = Array.from({ length: 5_000 }, (_, index) => ({
      ...findingOf(index % 2 === 0 ? 'fail' : 'pass', index),
      message: long,
      subject: long,
      allowed: long,
      observed: long,
      help: `${index} ${long}`,
    }));
    const notChecked = findings.map(({ subject }) => ({ subject, check: 'c', why: long }));
    const text = render(verdictOf(findings, { reason: long, notChecked }));
    expect(text, 'what is left out is counted').toMatch(
      /And 4994 more, in verdict\.json\.<\/p>\s*<\/section>/,
    );
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_REPORT_BYTES);
    expect(text).toContain('fail</span>');
  });

  it('asks for nothing, and lets nothing run, in a real browser', async () => {
    const hostile =
      '"><script>document.title="owned"</script><img src=http://127.0.0.1:9/x onerror=alert(1)>';
    const finding = { ...findingOf('fail'), message: hostile, subject: hostile, help: hostile };
    const text = render(verdictOf([finding], { reason: hostile, subject: hostile }), { heading: hostile });
    const browser = await openBrowser();
    try {
      for (const scheme of ['light', 'dark'] as const) {
        const seen = await look(browser, text, { width: 360, scheme });
        expect(seen).toEqual(FINE);
      }
    } finally {
      await browser.close();
    }
  });
});
