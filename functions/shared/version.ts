/** Tocsin's own version, part of every verdict. A test holds it equal to package.json. */
export const TOCSIN_VERSION = '0.1.0';
