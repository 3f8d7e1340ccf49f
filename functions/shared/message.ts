/** A notification: an e-mail's subject and text, and attributes that subscriptions filter on. */
export interface Message {
  /** At most 100 printable ASCII characters. */
  subject: string;
  text: string;
  /** What it is about (`dataset`, `model`) and `outcome` (`pass`, `fail`, `inconclusive`, `error`). */
  attributes: Record<string, string>;
}
