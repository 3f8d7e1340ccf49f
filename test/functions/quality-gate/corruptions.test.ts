import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QualityVerdict } from '../../../functions/quality-gate/gate.ts';
import type { Profile } from '../../../functions/shared/profile.ts';
import {
  type Corruption,
  cutAt,
  encodedAs,
  type Format,
  firstLineOnly,
  inEvery,
  mangled,
  nothing,
  replace,
  withoutFirstLine,
  writeDataset,
} from '../../support/corrupt.ts';
import { type Database, fixtureContract, openDatabase, useLab, vega } from '../../support/datasets.ts';

/** A real dataset, divided into the slice that its baseline is made from and slices that were held back. */
interface RealDataset {
  name: string;
  format: Format;
  /** SQL of all of it, with a column `slice`. */
  sql: string;
  baseline: string;
  /** Slices and the object keys that they come under. The first is the one that is corrupted. */
  heldBack: [slice: string, key: string][];
  uploaded: string;
  corruptions: Record<string, Corruption>;
}

const flights: RealDataset = {
  name: 'flights',
  format: 'parquet',
  // Every fifth flight of a month, about 100,000.
  sql: `SELECT strftime(date, '%Y-%m') || CASE file_row_number % 5 WHEN 0 THEN '' WHEN 1 THEN ' other' ELSE ' unused' END AS slice, *
        FROM read_parquet('${vega('flights-3m.parquet')}') WHERE date < '2001-07-01'`,
  baseline: '2001-01',
  heldBack: [
    ['2001-02', 'raw/flights/2001-02.parquet'],
    ['2001-01 other', 'raw/flights/2001-01.parquet'],
    ['2001-02 other', 'raw/flights/2001-02.parquet'],
    ['2001-03', 'raw/flights/2001-03.parquet'],
    ['2001-04', 'raw/flights/2001-04.parquet'],
  ],
  uploaded: '2001-07-02',
  corruptions: {
    'a number zeroed': { sql: replace('delay', '0'), column: 'delay', check: 'zeros' },
    'a number zeroed in 40 % of the rows': {
      sql: inEvery(5, 'delay', '0').replace('% 5 = 0', '% 5 < 2'),
      column: 'delay',
      check: 'zeros',
    },
    'another number zeroed in some rows': {
      sql: inEvery(1000, 'distance', '0'),
      column: 'distance',
      check: 'zeros',
    },
    'a number nulled': { sql: replace('delay', 'NULL::BIGINT'), column: 'delay', check: 'nulls' },
    'a number nulled in some rows': { sql: inEvery(20, 'delay', 'NULL'), column: 'delay', check: 'nulls' },
    'a text nulled in one row': {
      sql: inEvery(1_000_000, 'origin', 'NULL'),
      column: 'origin',
      check: 'nulls',
    },
    'a time nulled in some rows': { sql: inEvery(100, 'date', 'NULL'), column: 'date', check: 'nulls' },
    'a number made constant': { sql: replace('distance', '731'), column: 'distance', check: 'constant' },
    'a text made constant': { sql: replace('origin', "'ATL'"), column: 'origin', check: 'dominant' },
    'a number a hundredfold': {
      sql: replace('distance', 'distance * 100'),
      column: 'distance',
      check: 'range',
    },
    'miles turned into kilometres': {
      sql: replace('distance', 'CAST(distance * 1.609 AS BIGINT)'),
      column: 'distance',
      check: 'drift-wasserstein',
    },
    'the sign turned': { sql: replace('delay', '-delay'), column: 'delay', check: 'range' },
    'the sign lost': { sql: replace('delay', 'abs(delay)'), column: 'delay', check: 'drift-psi' },
    'a number shifted a little': {
      sql: replace('delay', 'delay + 15'),
      column: 'delay',
      check: 'drift-mean',
    },
    'a number clipped': { sql: replace('delay', 'least(delay, 5)'), column: 'delay', check: 'drift-ks' },
    'two numbers swapped': {
      sql: 'SELECT * REPLACE (distance AS delay, delay AS distance) FROM good',
      column: 'distance',
      check: 'range',
    },
    'a text and a number swapped': {
      sql: 'SELECT date, origin AS delay, distance, delay AS origin, destination FROM good',
      column: 'delay',
      check: 'type',
    },
    'dates shifted by a year': {
      sql: replace('date', 'date + INTERVAL 1 YEAR'),
      column: 'date',
      check: 'future',
    },
    'last month sent again': {
      sql: replace('date', 'date - INTERVAL 1 MONTH'),
      column: 'date',
      check: 'freshness',
    },
    'a month of which the last days are missing': {
      sql: "SELECT * FROM good WHERE date < '2001-02-20'",
      column: 'date',
      check: 'freshness',
    },
    'a month of which the first days are missing': {
      sql: "SELECT * FROM good WHERE date > '2001-02-06'",
      column: 'date',
      check: 'time-span',
    },
    'a column dropped': {
      sql: 'SELECT * EXCLUDE (delay) FROM good',
      column: 'delay',
      check: 'missing-column',
    },
    'a column added': {
      sql: 'SELECT *, 1 AS cancelled FROM good',
      column: 'cancelled',
      check: 'extra-column',
    },
    'a column renamed': {
      sql: 'SELECT * RENAME (delay AS dep_delay) FROM good',
      column: 'delay',
      check: 'missing-column',
    },
    'columns in another order': {
      sql: 'SELECT date, distance, delay, origin, destination FROM good',
      column: 'distance',
      check: 'column-order',
    },
    'a number as text': { sql: replace('delay', 'delay::VARCHAR'), column: 'delay', check: 'type' },
    'a time as text': { sql: replace('date', 'date::VARCHAR'), column: 'date', check: 'type' },
    'a number with fractions': {
      sql: replace('distance', 'distance / 1.609'),
      column: 'distance',
      check: 'invalid',
    },
    'NaN for a number that is missing': {
      sql: inEvery(10, 'delay', "'NaN'::DOUBLE").replace('ELSE "delay"', 'ELSE "delay"::DOUBLE'),
      column: 'delay',
      check: 'invalid',
    },
    'a file cut off': { spoil: cutAt(0.7), check: 'readable' },
    'every row twice': { sql: 'SELECT * FROM good UNION ALL SELECT * FROM good', check: 'duplicate-rows' },
    'some rows twice': {
      sql: 'SELECT * FROM good UNION ALL SELECT * FROM good WHERE rowid % 50 = 0',
      column: 'date',
      check: 'key',
    },
    'half of the rows lost': { sql: 'SELECT * FROM good WHERE rowid % 2 = 0', check: 'rows-change' },
    'no row left': { sql: 'SELECT * FROM good WHERE false', check: 'rows' },
    'a new category': {
      sql: inEvery(50, 'destination', "'ZZZ'"),
      column: 'destination',
      check: 'new-categories',
    },
    'a category lost': {
      sql: "SELECT * FROM good WHERE origin <> 'ATL'",
      column: 'origin',
      check: 'vanished-categories',
    },
    'one category in place of another': {
      sql: replace('destination', "CASE destination WHEN 'LAX' THEN 'SFO' ELSE destination END"),
      column: 'destination',
      check: 'drift-linf',
    },
    'a lower-case category': {
      sql: inEvery(500, 'origin', 'lower(origin)'),
      column: 'origin',
      check: 'pattern',
    },
    'a blank after a category': {
      sql: inEvery(500, 'origin', "origin || ' '"),
      column: 'origin',
      check: 'pattern',
    },
    'empty texts': { sql: inEvery(200, 'origin', "''"), column: 'origin', check: 'empty' },
    'a number out of range in some rows': {
      sql: inEvery(1000, 'delay', '99999'),
      column: 'delay',
      check: 'range',
    },
    'a rule violated': { sql: inEvery(1000, 'destination', 'origin'), check: 'rule' },
    'UTF-16': { format: 'csv', spoil: encodedAs('utf16le'), check: 'readable' },
    'another delimiter': { format: 'csv', copy: "FORMAT csv, HEADER, DELIMITER ';'", check: 'readable' },
    'the header lost': { format: 'csv', spoil: withoutFirstLine, check: 'readable' },
    'an empty file': { spoil: nothing, check: 'readable' },
    'a gzip cut off': { format: 'csv', gzip: true, spoil: cutAt(0.9), check: 'readable' },
    'CSV under the name of Parquet': { copy: 'FORMAT csv, HEADER', check: 'readable' },
  },
};

const birdstrikes: RealDataset = {
  name: 'birdstrikes',
  format: 'csv',
  // The file is in the order of airports: every fifth report is a sample of all.
  sql: `SELECT CASE (row_number() OVER () - 1) % 5 WHEN 0 THEN 'baseline' WHEN 1 THEN 'baseline' WHEN 2 THEN 'a' WHEN 3 THEN 'b' ELSE 'c' END AS slice, *
        FROM read_csv('${vega('birdstrikes.csv')}')`,
  baseline: 'baseline',
  heldBack: [
    ['a', 'raw/birdstrikes/a.csv'],
    ['b', 'raw/birdstrikes/b.csv'],
    ['c', 'raw/birdstrikes/c.csv'],
  ],
  uploaded: '2002-08-01',
  corruptions: {
    'a number zeroed': {
      sql: replace('Speed IAS in knots', '0'),
      column: 'Speed IAS in knots',
      check: 'zeros',
    },
    'a number zeroed in some rows': {
      sql: inEvery(20, 'Speed IAS in knots', '0'),
      column: 'Speed IAS in knots',
      check: 'zeros',
    },
    'a sparse number zeroed': { sql: replace('Cost Repair', '0'), column: 'Cost Repair', check: 'zeros' },
    'a number nulled': {
      sql: replace('Speed IAS in knots', 'NULL'),
      column: 'Speed IAS in knots',
      check: 'nulls',
    },
    'a number nulled in some more rows': {
      sql: inEvery(3, 'Speed IAS in knots', 'NULL'),
      column: 'Speed IAS in knots',
      check: 'nulls',
    },
    'a text nulled in some rows': {
      sql: inEvery(100, 'Wildlife Size', 'NULL'),
      column: 'Wildlife Size',
      check: 'nulls',
    },
    'a date nulled in one row': {
      sql: inEvery(1_000_000, 'Flight Date', 'NULL'),
      column: 'Flight Date',
      check: 'nulls',
    },
    'a number made constant': {
      sql: replace('Speed IAS in knots', '150'),
      column: 'Speed IAS in knots',
      check: 'constant',
    },
    'a text made constant': {
      sql: replace('Phase of flight', "'Approach'"),
      column: 'Phase of flight',
      check: 'constant',
    },
    'another text made constant': {
      sql: replace('Origin State', "'Texas'"),
      column: 'Origin State',
      check: 'dominant',
    },
    'a number a hundredfold': {
      sql: replace('Speed IAS in knots', '"Speed IAS in knots" * 100'),
      column: 'Speed IAS in knots',
      check: 'range',
    },
    'dollars turned into cents': { sql: replace('Cost Other', '"Cost Other" * 100'), check: 'rule' },
    'the sign turned': {
      sql: replace('Speed IAS in knots', '-"Speed IAS in knots"'),
      column: 'Speed IAS in knots',
      check: 'range',
    },
    'knots turned into metres a second': {
      sql: replace('Speed IAS in knots', '"Speed IAS in knots" * 0.514'),
      column: 'Speed IAS in knots',
      check: 'drift-ks',
    },
    'a number shifted a little': {
      sql: replace('Speed IAS in knots', '"Speed IAS in knots" + 25'),
      column: 'Speed IAS in knots',
      check: 'drift-mean',
    },
    'a number whose middle moved': {
      sql: replace('Speed IAS in knots', 'least("Speed IAS in knots", 110)'),
      column: 'Speed IAS in knots',
      check: 'drift-quantile-0.5',
    },
    'two texts swapped': {
      sql: 'SELECT * REPLACE ("Wildlife Size" AS "Time of day", "Time of day" AS "Wildlife Size") FROM good',
      column: 'Wildlife Size',
      check: 'values',
    },
    'a text and a date swapped': {
      sql: 'SELECT * REPLACE ("Origin State" AS "Flight Date", "Flight Date" AS "Origin State") FROM good',
      column: 'Flight Date',
      check: 'invalid',
    },
    'two costs swapped': {
      sql: 'SELECT * REPLACE ("Cost Total $" AS "Cost Repair", "Cost Repair" AS "Cost Total $") FROM good',
      check: 'rule',
    },
    'dates shifted by a year': {
      sql: replace('Flight Date', '"Flight Date" + INTERVAL 1 YEAR'),
      column: 'Flight Date',
      check: 'future',
    },
    'dates shifted back': {
      sql: replace('Flight Date', '"Flight Date" - INTERVAL 60 DAY'),
      column: 'Flight Date',
      check: 'freshness',
    },
    'the last year only': {
      sql: `SELECT * FROM good WHERE "Flight Date" >= '2001-07-01'`,
      column: 'Flight Date',
      check: 'time-span',
    },
    'day and month swapped': {
      sql: replace('Flight Date', `strftime("Flight Date", '%Y-%d-%m')`),
      column: 'Flight Date',
      check: 'invalid',
    },
    'dates in another format': {
      sql: replace('Flight Date', `strftime("Flight Date", '%d/%m/%Y')`),
      column: 'Flight Date',
      check: 'invalid',
    },
    'a column dropped': {
      sql: 'SELECT * EXCLUDE ("Wildlife Species") FROM good',
      column: 'Wildlife Species',
      check: 'missing-column',
    },
    'a column added': { sql: 'SELECT *, 1 AS reporter FROM good', column: 'reporter', check: 'extra-column' },
    'a column renamed': {
      sql: 'SELECT * RENAME ("Cost Total $" AS "Cost Total") FROM good',
      column: 'Cost Total $',
      check: 'missing-column',
    },
    'columns in another order': {
      sql: 'SELECT "Aircraft Make Model", "Airport Name", * EXCLUDE ("Airport Name", "Aircraft Make Model") FROM good',
      column: 'Aircraft Make Model',
      check: 'column-order',
    },
    'a number with its unit': {
      sql: replace('Speed IAS in knots', `"Speed IAS in knots" || ' kt'`),
      column: 'Speed IAS in knots',
      check: 'invalid',
    },
    'a number with a comma': {
      sql: replace('Cost Total $', `format('{:,}', "Cost Total $")`),
      column: 'Cost Total $',
      check: 'invalid',
    },
    'a number with fractions': {
      sql: replace('Cost Total $', '"Cost Total $" + 0.5'),
      column: 'Cost Total $',
      check: 'invalid',
    },
    'NaN for a number that is missing': {
      sql: replace('Speed IAS in knots', `coalesce("Speed IAS in knots"::DOUBLE, 'NaN'::DOUBLE)`),
      column: 'Speed IAS in knots',
      check: 'nan',
    },
    'the word null for nothing': {
      sql: replace('Speed IAS in knots', `coalesce("Speed IAS in knots"::VARCHAR, 'null')`),
      column: 'Speed IAS in knots',
      check: 'invalid',
    },
    'a file cut off within a record': {
      spoil: (bytes) => bytes.subarray(0, bytes.lastIndexOf(',', bytes.length * 0.99)),
      check: 'well-formed',
    },
    'a file cut off after half of its lines': {
      spoil: (bytes) => bytes.subarray(0, bytes.lastIndexOf('\n', bytes.length / 2) + 1),
      check: 'rows',
    },
    'every row twice': { sql: 'SELECT * FROM good UNION ALL SELECT * FROM good', check: 'duplicate-rows' },
    'some rows twice': {
      sql: 'SELECT * FROM good UNION ALL SELECT * FROM good WHERE rowid % 20 = 0',
      check: 'duplicate-rows',
    },
    'two thirds of the rows lost': { sql: 'SELECT * FROM good WHERE rowid % 3 = 0', check: 'rows-change' },
    'a new category': {
      sql: inEvery(100, 'Time of day', "'Noon'"),
      column: 'Time of day',
      check: 'new-categories',
    },
    'a category lost': {
      sql: `SELECT * FROM good WHERE "Origin State" <> 'Texas'`,
      column: 'Origin State',
      check: 'vanished-categories',
    },
    'one category in place of another': {
      sql: replace(
        'Wildlife Size',
        `CASE "Wildlife Size" WHEN 'Medium' THEN 'Small' ELSE "Wildlife Size" END`,
      ),
      column: 'Wildlife Size',
      check: 'drift-linf',
    },
    'a lower-case category': {
      sql: inEvery(50, 'Wildlife Species', 'lower("Wildlife Species")'),
      column: 'Wildlife Species',
      check: 'pattern',
    },
    'empty texts': { sql: inEvery(200, 'Airport Name', "''"), column: 'Airport Name', check: 'empty' },
    'texts cut off': {
      sql: replace('Airport Name', 'left("Airport Name", 4)'),
      column: 'Airport Name',
      check: 'length',
    },
    'a number out of range in some rows': {
      sql: inEvery(500, 'Speed IAS in knots', '5000'),
      column: 'Speed IAS in knots',
      check: 'range',
    },
    'UTF-16': { spoil: encodedAs('utf16le'), check: 'readable' },
    'another delimiter': { copy: "FORMAT csv, HEADER, DELIMITER ';'", check: 'readable' },
    'the header lost': { spoil: withoutFirstLine, check: 'readable' },
    'the header alone': { spoil: firstLineOnly, check: 'rows' },
    'an empty file': { spoil: nothing, check: 'readable' },
    'a quote left open': {
      spoil: (bytes) => Buffer.from(bytes.toString().replace('\nCHICAGO', '\n"CHICAGO')),
      check: 'well-formed',
    },
    'JSON Lines under the name of CSV': { copy: 'FORMAT json', check: 'readable' },
  },
};

const football: RealDataset = {
  name: 'football',
  format: 'jsonl',
  // A season is from July to June.
  sql: `SELECT CAST(year(date - INTERVAL 6 MONTH) AS VARCHAR) AS slice, * FROM read_json('${vega('football.json')}')`,
  baseline: '2013',
  heldBack: [
    ['2015', 'raw/football/2016-06.jsonl'],
    ['2014', 'raw/football/2015-06.jsonl'],
    ['2016', 'raw/football/2017-06.jsonl'],
  ],
  uploaded: '2017-07-01',
  corruptions: {
    'a number zeroed': { sql: replace('home_score', '0'), column: 'home_score', check: 'zeros' },
    'a number zeroed in some rows': {
      sql: inEvery(8, 'home_score', '0'),
      column: 'home_score',
      check: 'zeros',
    },
    'a number nulled': { sql: replace('home_score', 'NULL'), column: 'home_score', check: 'nulls' },
    'a number nulled in some rows': {
      sql: inEvery(50, 'away_score', 'NULL'),
      column: 'away_score',
      check: 'nulls',
    },
    'a text nulled in some rows': {
      sql: inEvery(100, 'away_team', 'NULL'),
      column: 'away_team',
      check: 'nulls',
    },
    'a date nulled in one row': { sql: inEvery(1_000_000, 'date', 'NULL'), column: 'date', check: 'nulls' },
    'one of two numbers nulled': { sql: inEvery(200, 'home_score', 'NULL'), check: 'rule' },
    'a number made constant': { sql: replace('away_score', '1'), column: 'away_score', check: 'constant' },
    'a text made constant': {
      sql: replace('home_team', "'Arsenal'"),
      column: 'home_team',
      check: 'dominant',
    },
    'a number a hundredfold': {
      sql: replace('home_score', 'home_score * 100'),
      column: 'home_score',
      check: 'range',
    },
    'the sign turned': { sql: replace('home_score', '-home_score'), column: 'home_score', check: 'range' },
    'a number shifted a little': {
      sql: replace('home_score', 'home_score + 1'),
      column: 'home_score',
      check: 'drift-mean',
    },
    'a number doubled': {
      sql: replace('away_score', 'away_score * 2'),
      column: 'away_score',
      check: 'drift-psi',
    },
    'a number clipped': {
      sql: replace('home_score', 'least(home_score, 1)'),
      column: 'home_score',
      check: 'drift-ks',
    },
    'two numbers swapped': {
      sql: 'SELECT * REPLACE (away_score AS home_score, home_score AS away_score) FROM good',
      column: 'home_score',
      check: 'zeros',
    },
    'two texts swapped': {
      sql: 'SELECT * REPLACE (home_team AS division, division AS home_team) FROM good',
      column: 'division',
      check: 'values',
    },
    'dates shifted by a year': {
      sql: replace('date', 'date + INTERVAL 1 YEAR'),
      column: 'date',
      check: 'future',
    },
    'last season sent again': {
      sql: replace('date', 'date - INTERVAL 1 YEAR'),
      column: 'date',
      check: 'freshness',
    },
    'half a season': {
      sql: "SELECT * FROM good WHERE date >= '2016-01-01'",
      column: 'date',
      check: 'time-span',
    },
    'dates in another format': {
      sql: replace('date', "strftime(date, '%d.%m.%Y')"),
      column: 'date',
      check: 'invalid',
    },
    'dates as numbers': { sql: replace('date', 'epoch_ms(date)'), column: 'date', check: 'invalid' },
    'a column dropped': {
      sql: 'SELECT * EXCLUDE (away_team) FROM good',
      column: 'away_team',
      check: 'missing-column',
    },
    'a column added': {
      sql: 'SELECT *, 0 AS attendance FROM good',
      column: 'attendance',
      check: 'extra-column',
    },
    'a column added in one row': {
      spoil: (bytes) => Buffer.from(bytes.toString().replace('}', ',"note":"x"}')),
      column: 'note',
      check: 'extra-column',
    },
    'a column renamed': {
      sql: 'SELECT * RENAME (home_score AS homeScore) FROM good',
      column: 'home_score',
      check: 'missing-column',
    },
    'columns in another order': {
      sql: 'SELECT division, date, * EXCLUDE (date, division) FROM good',
      column: 'division',
      check: 'column-order',
    },
    'a number as text': {
      sql: replace('home_score', 'home_score::VARCHAR'),
      column: 'home_score',
      check: 'invalid',
    },
    'a number with fractions': {
      sql: replace('home_score', 'home_score + 0.5'),
      column: 'home_score',
      check: 'invalid',
    },
    'a list for a value': { sql: replace('home_team', '[home_team]'), column: 'home_team', check: 'invalid' },
    'an object for a value': {
      sql: inEvery(300, 'away_score', '{}')
        .replace('{}', "{'goals': 1}::JSON")
        .replace('ELSE "away_score"', 'ELSE "away_score"::JSON'),
      column: 'away_score',
      check: 'invalid',
    },
    'NaN for a number that is missing': {
      spoil: (bytes) => Buffer.from(bytes.toString().replaceAll('"home_score":null', '"home_score":NaN')),
      column: 'home_score',
      check: 'invalid',
    },
    'a file cut off within a record': {
      spoil: (bytes) => bytes.subarray(0, bytes.lastIndexOf(',', bytes.length * 0.99)),
      check: 'well-formed',
    },
    'a file cut off after some of its lines': {
      spoil: (bytes) => bytes.subarray(0, bytes.lastIndexOf('\n', bytes.length * 0.7) + 1),
      check: 'rows',
    },
    'every row twice': { sql: 'SELECT * FROM good UNION ALL SELECT * FROM good', check: 'duplicate-rows' },
    'one row twice': {
      sql: 'SELECT * FROM good UNION ALL SELECT * FROM good WHERE rowid = 7',
      column: 'date',
      check: 'key',
    },
    'half of the rows lost': { sql: 'SELECT * FROM good WHERE rowid % 2 = 0', check: 'rows-change' },
    'a new category': {
      sql: inEvery(400, 'division', "'Eredivisie'"),
      column: 'division',
      check: 'new-categories',
    },
    'a category lost': {
      sql: "SELECT * FROM good WHERE division <> 'Serie A'",
      column: 'division',
      check: 'vanished-categories',
    },
    'one category in place of another': {
      sql: replace('division', "CASE division WHEN 'Serie A' THEN 'Primera Division' ELSE division END"),
      column: 'division',
      check: 'drift-psi',
    },
    'empty texts': { sql: inEvery(200, 'home_team', "''"), column: 'home_team', check: 'empty' },
    'texts cut off': {
      sql: replace('home_team', 'left(home_team, 3)'),
      column: 'home_team',
      check: 'length',
    },
    'lower-case texts': {
      sql: replace('away_team', 'lower(away_team)'),
      column: 'away_team',
      check: 'pattern',
    },
    'a number out of range in some rows': {
      sql: inEvery(300, 'home_score', '99'),
      column: 'home_score',
      check: 'range',
    },
    'a rule violated': { sql: inEvery(300, 'away_team', 'home_team'), check: 'rule' },
    'latin-1': { spoil: encodedAs('latin1'), check: 'well-formed' },
    'UTF-16': { spoil: encodedAs('utf16le'), check: 'readable' },
    'UTF-8 taken for latin-1': { spoil: mangled, column: 'division', check: 'values' },
    'another delimiter': { format: 'csv', copy: "FORMAT csv, HEADER, DELIMITER '|'", check: 'readable' },
    'the header lost': { format: 'csv', spoil: withoutFirstLine, check: 'readable' },
    'an empty file': { spoil: nothing, check: 'readable' },
    'one JSON array in place of lines': { copy: 'FORMAT json, ARRAY true', check: 'well-formed' },
    'a gzip cut off': { gzip: true, spoil: cutAt(0.9), check: 'readable' },
  },
};

const lab = useLab();

describe.each([flights, birdstrikes, football])('$name', (dataset) => {
  let database: Database;
  let contract = '';
  let baseline: Profile | undefined;
  const [spoiled, spoiledKey] = dataset.heldBack[0] ?? ['', ''];

  beforeAll(async () => {
    contract = await fixtureContract(`${dataset.name}.yaml`);
    database = await openDatabase();
    await database.run(`CREATE TABLE all_rows AS ${dataset.sql}`);
    const { measurements } = await judgeSlice(dataset.baseline, 'raw/2001-01');
    baseline = measurements.profile;
    await database.run(
      `CREATE TABLE good AS SELECT * EXCLUDE (slice) FROM all_rows WHERE slice = '${spoiled}'`,
    );
  });
  afterAll(() => database.close());

  async function judgeSlice(slice: string, key: string) {
    const sql = `SELECT * EXCLUDE (slice) FROM all_rows WHERE slice = '${slice}'`;
    const files = await writeDataset(database, lab.path(`${dataset.name}-slice`), dataset.format, { sql });
    return lab.judge({ files, contract, baseline, uploaded: dataset.uploaded, key });
  }

  test.each(dataset.heldBack)('held-back slice %s passes', async (slice, key) => {
    const { verdict } = await judgeSlice(slice, key);
    expect(problemsOf(verdict)).toEqual([]);
    expect(verdict.outcome).toBe('pass');
  });

  test.each(Object.entries(dataset.corruptions))('%s', async (_, corruption) => {
    const format = corruption.format ?? dataset.format;
    const files = await writeDataset(database, lab.path(`${dataset.name}-spoiled`), format, corruption);
    const { verdict } = await lab.judge({
      files,
      contract: contract.replace(`format: ${dataset.format}`, `format: ${format}`),
      baseline,
      uploaded: dataset.uploaded,
      key: spoiledKey,
    });
    const { column, check } = corruption;
    expect({ outcome: verdict.outcome, problems: problemsOf(verdict) }).toEqual({
      outcome: 'fail',
      problems: expect.arrayContaining([
        {
          found: `fail: ${check}${column === undefined ? '' : ` of ${column}`}`,
          message: expect.any(String),
        },
      ]),
    });
  });

  test('is spoiled in at least 24 ways', () => {
    expect(Object.keys(dataset.corruptions).length).toBeGreaterThanOrEqual(24);
  });
});

/** Everything that did not pass. */
function problemsOf(verdict: QualityVerdict) {
  return verdict.findings
    .filter(({ outcome }) => outcome !== 'pass')
    .map(({ outcome, check, column, message }) => ({
      found: `${outcome}: ${check}${column === undefined ? '' : ` of ${column}`}`,
      message,
    }));
}
