import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bar,
  durationTicks,
  type Frame,
  figure,
  path,
  plot,
  px,
  spread,
  threshold,
  whisker,
} from '../../../../functions/shared/report/chart.ts';
import { html, textOf } from '../../../../functions/shared/report/html.ts';

/** A frame of 100 by 50 pixels, of values from 0 to 10. */
const FRAME: Frame = {
  left: 0,
  right: 100,
  top: 0,
  bottom: 50,
  x: (value) => px(value * 10),
  y: (value) => px(50 - value * 5),
};

describe('a domain', () => {
  it('is as wide as its finite values, with a margin at both ends', () => {
    expect(spread([3, Number.NaN, 1, Number.POSITIVE_INFINITY])).toEqual([1, 3]);
    expect(spread([0, 10], 0.1)).toEqual([-1, 11]);
  });

  it('is never empty', () => {
    expect(spread([])).toEqual([0, 1]);
    expect(spread([0])).toEqual([-0.5, 0.5]);
    expect(spread([-4, -4])).toEqual([-6, -2]);
    expect(spread([Number.MIN_VALUE])).toEqual([-0.5, 0.5]);
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e9, max: 1e9 })), (values) => {
        const [low, high] = spread(values);
        expect(low).toBeLessThan(high);
      }),
    );
  });
});

describe('what is drawn', () => {
  it('is a line where its points are, broken where one is not finite', () => {
    const points = [
      [0, 0],
      [1, 2],
      [2, Number.NaN],
      [3, 4],
      [4, 4],
    ] as const;
    expect(textOf(path(FRAME, points, 's-a'))).toBe('<path class="line s-a" d="M0,50L10,40M30,30L40,30"/>');
  });

  it('is a bar from zero, also below it, and nothing where there is nothing', () => {
    expect(textOf(bar(FRAME, { from: 1, to: 3, value: 4 }, 'f-a'))).toBe(
      '<rect class="f-a" x="10" y="30" width="19.5" height="20"/>',
    );
    expect(textOf(bar(FRAME, { from: 3, to: 1, value: -2 }, 'f-a'))).toContain(
      'y="50" width="19.5" height="10"',
    );
    expect(bar(FRAME, { from: 1, to: 3, value: 0 }, 'f-a')).toBe(false);
    expect(bar(FRAME, { from: 1, to: 3, value: Number.NaN }, 'f-a')).toBe(false);
  });

  it('is a threshold across the whole plot', () => {
    expect(textOf(threshold(FRAME, { x: 2 }))).toContain('d="M20 0V50"');
    expect(textOf(threshold(FRAME, { y: 2 }, 's-b'))).toContain('d="M0 40H100"');
  });

  it('is an interval that ends at the edge where it has no bound, and stays inside', () => {
    expect(textOf(whisker(FRAME, { low: 1, estimate: 2, high: 3 }, 7, 'fail'))).toBe(
      '<path class="line s-fail" d="M10 7H30M10 3v8M30 3v8"/><circle class="f-fail" cx="20" cy="7" r="3.5"/>',
    );
    const open = { low: Number.NEGATIVE_INFINITY, estimate: Number.NaN, high: 40 };
    expect(textOf(whisker(FRAME, open, 7, 'a'))).toBe('<path class="line s-a" d="M0 7H100M0 3v8M100 3v8"/>');
  });
});

describe('a plot', () => {
  const of = {
    title: 'ROC <curve>',
    note: 'of 10 examples',
    description: 'The area is 0.5.',
    x: { label: 'false positives', domain: [0, 1] as const },
    y: { label: 'true positives', domain: [0, 1] as const, names: [{ at: 0.5, name: 'half' }] },
    draw: (frame: Frame) => threshold(frame, { y: 0.5 }),
    legend: [{ className: 's-a', kind: 'line' as const, text: 'candidate' }],
  };

  it('has a caption, words for who does not see it, ticks and labels', () => {
    const text = textOf(plot(of));
    expect(text).toContain('<figcaption>ROC &lt;curve&gt;<small>of 10 examples</small></figcaption>');
    expect(text).toContain('role="img" aria-label="ROC &lt;curve&gt;. The area is 0.5."');
    expect(text.match(/>(0|0\.2|0\.4|0\.6|0\.8|1)<\/text>/g)).toHaveLength(6);
    expect(text).toContain('>half</text>');
    expect(text).toContain('>false positives</text>');
    expect(text).toContain('</svg> candidate</li>');
  });

  it('puts the values of its domain on its edges', () => {
    let seen: Frame | undefined;
    plot({
      ...of,
      width: 300,
      height: 200,
      draw: (frame) => {
        seen = frame;
        return '';
      },
    });
    expect([seen?.x(0), seen?.x(1), seen?.y(0), seen?.y(1)]).toEqual([44, 290, 166, 8]);
  });

  it('is the same text for the same values', () => {
    expect(textOf(plot(of))).toBe(textOf(plot(of)));
  });

  it('has a row of its own, to be scrolled by keyboard too, where it is wide', () => {
    const text = textOf(figure({ title: 'Timeline' }, html`<svg></svg>`, { wide: true }));
    expect(text).toContain(
      '<div class="scroll" role="region" aria-label="Timeline" tabindex="0"><svg></svg></div>',
    );
  });
});

describe('ticks of a duration', () => {
  const [second, minute, day] = [1000, 60_000, 86_400_000];

  it.each([
    [9 * second, 4, [0, 5 * second]],
    [60 * minute, 4, [0, 15, 30, 45, 60].map((at) => at * minute)],
    [61 * minute, 4, [0, 30, 60].map((at) => at * minute)],
    [21 * day, 3, [0, 7, 14, 21].map((at) => at * day)],
    [0, 4, [0]],
  ])('of %d ms, at most %d after the first', (endMs, most, ticks) => {
    expect(durationTicks(endMs, most)).toEqual(ticks);
  });

  it('are never more than asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 * day }), fc.integer({ min: 1, max: 20 }), (endMs, most) => {
        const ticks = durationTicks(endMs, most);
        expect(ticks[0]).toBe(0);
        expect(ticks.length).toBeLessThanOrEqual(most + 1);
        expect(ticks.at(-1)).toBeLessThanOrEqual(endMs);
      }),
    );
  });
});
