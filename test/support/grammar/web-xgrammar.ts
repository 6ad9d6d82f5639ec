/**
 * The package @mlc-ai/web-xgrammar, another engine of grammars, to compare masks with. Its package says that it is
 * an ES module, and it is none: Node.js 20 reads it only as a file whose name ends in `.cjs`.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasBit, type Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';
import type { Json } from '../../../src/grammar/output-format.ts';
import { inAlphabet } from './tokenizers.ts';

type Package = typeof import('@mlc-ai/web-xgrammar');
type Matcher = Awaited<ReturnType<Package['GrammarMatcher']['createGrammarMatcher']>>;

/** `some`: up to one character of white space between all parts. `one`: one space after each comma and colon. */
export type Spaces = 'some' | 'one';

/** One text of the other engine. */
export interface PeerText {
  /** The ids that may come next; the end id is one of them. */
  mask(): Promise<number[]>;
  /** Adds an id. @returns false if the engine refuses it */
  accept(id: number): boolean;
  /** Ends the text. @returns false if it is not complete */
  end(): boolean;
  dispose(): void;
}

export interface PeerGrammar {
  start(): Promise<PeerText>;
  dispose(): void;
}

export interface Peer {
  /** The id of the end: the first one after the vocabulary. */
  readonly endId: number;
  /** @throws what the package throws for a schema that it does not take */
  compile(schema: Json, spaces: Spaces): Promise<PeerGrammar>;
  dispose(): void;
}

async function load(): Promise<Package> {
  const require = createRequire(import.meta.url);
  const folder = await mkdtemp(join(tmpdir(), 'web-xgrammar-'));
  const file = join(folder, 'index.cjs');
  await copyFile(require.resolve('@mlc-ai/web-xgrammar'), file);
  const loaded: Package = require(file);
  await rm(folder, { recursive: true });
  return loaded;
}

/** Loads the package with the tokens of a vocabulary, each with a text. */
export async function openPeer(vocabulary: Vocabulary): Promise<Peer> {
  const peer = await load();
  const endId = vocabulary.data.size;
  const names = Array.from({ length: endId }, (_, id) => inAlphabet(vocabulary.bytesOf(id)));
  const info = await peer.TokenizerInfo.createTokenizerInfo([...names, '</s>'], 'byte_level', false, undefined, [
    endId,
  ]);
  const compiler = await peer.GrammarCompiler.createGrammarCompiler(info, false);
  return {
    endId,
    compile: async (schema, spaces) => {
      const json = JSON.stringify(schema);
      // An indentation of -1 is none: the default one writes objects in several lines.
      const compiled =
        spaces === 'some'
          ? await compiler.compileJSONSchema(json, true, -1, undefined, false, 1)
          : await compiler.compileJSONSchema(json, false, -1, [', ', ': '], false);
      return {
        start: async () => textOf(await peer.GrammarMatcher.createGrammarMatcher(compiled), endId),
        dispose: () => compiled.dispose(),
      };
    },
    dispose: () => {
      compiler.dispose();
      info.dispose();
    },
  };
}

function textOf(matcher: Matcher, endId: number): PeerText {
  return {
    mask: async () => {
      const bits = new Uint32Array((await matcher.getNextTokenBitmask()).buffer);
      return Array.from({ length: endId + 1 }, (_, id) => id).filter((id) => hasBit(bits, id));
    },
    accept: (id) => matcher.acceptToken(id),
    end: () => matcher.acceptToken(endId) && matcher.isTerminated(),
    dispose: () => matcher.dispose(),
  };
}
