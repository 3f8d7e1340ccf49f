import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breakable, type Content, html, raw, textOf } from '../../../../functions/shared/report/html.ts';

describe('markup', () => {
  it('escapes every value, in text and in attributes', () => {
    const hostile = `<script>alert("1")</script> & 'x'`;
    expect(textOf(html`<p title="${hostile}">${hostile}</p>`)).toBe(
      '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;">' +
        '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;</p>',
    );
  });

  it('keeps markup as it is, joins lists, and leaves out what is absent', () => {
    const parts: Content[] = [html`<b>1</b>`, 2, undefined, null, false, ['<', raw('<i></i>')]];
    expect(textOf(html`<p>${parts}</p>`)).toBe('<p><b>1</b>2&lt;<i></i></p>');
    expect(textOf(0)).toBe('0');
  });

  it('never lets a value end what it stands in, nor turn the text around', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const text = textOf(html`<p title="${value}">${value}</p>`);
        expect(text.match(/[<>]/g)).toEqual(['<', '>', '<', '>']);
        expect(text.match(/"/g)).toEqual(['"', '"']);
        expect(text).not.toMatch(/[\u202a-\u202e\u2066-\u2069]|(?![\n\t])\p{Cc}/u);
        expect(text.isWellFormed()).toBe(true);
      }),
    );
  });

  it('may be broken in long names, and only there', () => {
    expect(textOf(breakable('a/b<c/d.e', /(?<=\/)/))).toBe('a/<wbr>b&lt;c/<wbr>d.e');
    expect(textOf(breakable('', /(?<=\/)/))).toBe('');
  });
});
