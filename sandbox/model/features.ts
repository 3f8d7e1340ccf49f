import type { Columns } from './boosting.ts';

/** Flights as their files and requests have them, one array a field, of one length. */
export interface Flights {
  /** Departure by the clock of the origin, in milliseconds of that clock since 1970; NaN where it is missing. */
  departure: Float64Array;
  /** Miles; NaN where it is missing. */
  distance: Float64Array;
  /** Airport codes; null where they are missing. */
  origin: readonly (string | null)[];
  destination: readonly (string | null)[];
}

/** What the model is given, in this order. */
export const FEATURES = ['minuteOfDay', 'weekday', 'month', 'distance', 'origin', 'destination'] as const;

/** How often flights are late, by a category; the categories ascend. */
export interface Encoding {
  /** The share of all flights: what an unknown or missing category is given. */
  prior: number;
  /** The share by category, drawn towards the prior where there are few flights. */
  rates: [category: string, rate: number][];
}

/** The encodings that a model carries with it. */
export interface Encodings {
  origin: Encoding;
  destination: Encoding;
}

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;

/** A category with so many flights lies half way between the prior and its own share. */
const HALF_TRUSTED = 100;

/** Learns an encoding from rows of a category and a label, 0 or 1. A missing category is none. */
export function fitEncoding(categories: readonly (string | null)[], labels: Uint8Array): Encoding {
  const counts = new Map<string, { rows: number; late: number }>();
  let late = 0;
  for (const [row, category] of categories.entries()) {
    const label = labels[row] ?? 0;
    late += label;
    if (category === null) continue;
    let count = counts.get(category);
    if (count === undefined) {
      count = { rows: 0, late: 0 };
      counts.set(category, count);
    }
    count.rows++;
    count.late += label;
  }
  const prior = late / categories.length;
  const rates = [...counts].map(([category, count]): [string, number] => [
    category,
    (count.late + HALF_TRUSTED * prior) / (count.rows + HALF_TRUSTED),
  ]);
  return { prior, rates: rates.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** Makes the function that turns flights into the columns of {@link FEATURES}. */
export function featurizer({ origin, destination }: Encodings): (flights: Flights) => Columns {
  const encodeOrigin = encoder(origin);
  const encodeDestination = encoder(destination);
  return (flights) => {
    const { departure, distance } = flights;
    const minute = new Float64Array(departure.length);
    const weekday = new Float64Array(departure.length);
    const month = new Float64Array(departure.length);
    const monthOf = monthLookup();
    for (let row = 0; row < departure.length; row++) {
      const time = departure[row]!;
      const day = Math.floor(time / DAY_MS);
      minute[row] = Math.floor((time - day * DAY_MS) / MINUTE_MS);
      // The first day of 1970 was a Thursday; Sunday is 0.
      weekday[row] = (((day + 4) % 7) + 7) % 7;
      month[row] = monthOf(day);
    }
    const from = Float64Array.from(flights.origin, encodeOrigin);
    const to = Float64Array.from(flights.destination, encodeDestination);
    return [minute, weekday, month, distance, from, to];
  };
}

/** The part of some flights from row `start` to before row `end`. */
export function sliceFlights(flights: Flights, start: number, end: number): Flights {
  return {
    departure: flights.departure.subarray(start, end),
    distance: flights.distance.subarray(start, end),
    origin: flights.origin.slice(start, end),
    destination: flights.destination.slice(start, end),
  };
}

function encoder({ prior, rates }: Encoding): (category: string | null) => number {
  const byCategory = new Map(rates);
  return (category) => (category === null ? prior : (byCategory.get(category) ?? prior));
}

/** The month, 1 to 12, of a day counted from 1970. The calendar is asked once a day: flights share few days. */
function monthLookup(): (day: number) => number {
  const months = new Map<number, number>();
  return (day) => {
    let month = months.get(day);
    if (month === undefined) {
      month = new Date(day * DAY_MS).getUTCMonth() + 1;
      months.set(day, month);
    }
    return month;
  };
}
