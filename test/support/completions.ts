/** The stream of `POST /v1/completions` with several outputs, piece by piece. */
import { createParser } from 'eventsource-parser';

interface Chunk {
  readonly choices?: readonly {
    readonly index: number;
    readonly text: string;
    readonly finish_reason: string | null;
  }[];
  readonly error?: { readonly code: string };
}

export interface Piece {
  /** Index of the output. */
  readonly index: number;
  readonly text: string;
  readonly ended: boolean;
}

export interface Completions {
  readonly pieces: AsyncGenerator<Piece, void, void>;
  /** `[DONE]`, and the codes of errors, in order. */
  readonly ends: readonly string[];
}

/** Reads the stream. A reader that stops early closes the connection. */
export function readCompletions({ body }: Response): Completions {
  const ends: string[] = [];
  return { pieces: piecesOf(body, ends), ends };
}

async function* piecesOf(body: Response['body'], ends: string[]): AsyncGenerator<Piece, void, void> {
  const seen: Piece[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      const { choices = [], error }: Chunk = data === '[DONE]' ? { error: { code: data } } : JSON.parse(data);
      for (const { index, text, finish_reason } of choices) seen.push({ index, text, ended: finish_reason !== null });
      if (error) ends.push(error.code);
    },
  });
  const text = new TextDecoder();
  for await (const bytes of body ?? []) {
    parser.feed(text.decode(bytes, { stream: true }));
    yield* seen.splice(0);
  }
}
