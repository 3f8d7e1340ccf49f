import { type Output, Transcript, Turns } from './console.ts';
import type { Story, World } from './world.ts';

/** What is a story's own while several are played. */
export interface Part {
  transcript: Transcript;
  /** Ends the story, because of the user or because another story went wrong. */
  signal: AbortSignal;
}

/**
 * Plays stories side by side, and lets them be read one after the other. The first that goes wrong ends the others;
 * what each had to say up to then is still there to be read.
 *
 * @param enter makes the world of a story
 * @throws what the story that went wrong threw; the reason of `signal` where that aborted
 */
export async function playTogether(
  stories: readonly Story[],
  output: Output,
  signal: AbortSignal,
  enter: (story: Story, part: Part) => Promise<World>,
): Promise<void> {
  const turns = new Turns(output);
  const failure = new AbortController();
  // All turns are taken before anybody can write.
  const parts = stories.map((story) => ({ story, turn: turns.take() }));
  await Promise.all(
    parts.map(async ({ story, turn }) => {
      const transcript = new Transcript(turn.output);
      try {
        transcript.heading(story.title);
        transcript.text(story.plot);
        await story.play(
          await enter(story, { transcript, signal: AbortSignal.any([signal, failure.signal]) }),
        );
      } catch (error) {
        const reason = failure.signal.aborted ? 'ended early: another one went wrong' : 'went wrong here';
        if (!signal.aborted) transcript.note('', `This story ${reason}.`);
        failure.abort(error);
      } finally {
        turn.end();
      }
    }),
  );
  signal.throwIfAborted();
  // Of several that went wrong the first: the others were ended by it.
  failure.signal.throwIfAborted();
}
