import type { Container } from './containers.ts';
import type { ResolvedImage } from './images.ts';

/** A container of a model, as it is started: of a model package what the package says. */
export interface ModelContainer {
  Image: string;
  ModelDataUrl?: string | undefined;
  Environment?: Record<string, string> | undefined;
}

/** What of a model it takes to start it. */
export interface Hostable {
  readonly executionRoleArn: string;
  readonly containers: readonly ModelContainer[];
}

/** How to start a model. */
export interface HostOptions {
  /** Variables on top of the model's own. */
  env?: Readonly<Record<string, string>>;
  /** Begins every line of the container in the log. */
  label: string;
  /** Ends it. */
  signal: AbortSignal;
}

/** A model whose container is healthy. */
export interface Hosted {
  container: Container;
  /** As the model names it. */
  specifiedImage: string;
  resolved: ResolvedImage;
  /** Milliseconds since 1970. */
  resolvedAt: number;
  /** Ends the container, and removes the model's files. */
  stop(): Promise<void>;
}
