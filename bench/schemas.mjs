/**
 * Schemas of our own making in the manner of public benchmarks, each with a valid value: tools with 3 to 10
 * fields, and 200 documents of many keywords.
 */

/** Numbers from 0 to 1, the same ones in each run. Rule: mulberry32. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WORDS =
  'title description status priority owner created updated city country street price currency amount count tags items name email phone version enabled label kind source target weight height width color size comment rating category address unit'.split(
    ' ',
  );

class Maker {
  #random;

  constructor(seed) {
    this.#random = randomNumbers(seed);
  }

  below(count) {
    return Math.floor(this.#random() * count);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  text(words) {
    return Array.from({ length: words }, () => this.pick(WORDS)).join(' ');
  }

  /** Different names. */
  names(count) {
    const names = new Set();
    while (names.size < count)
      names.add(this.below(4) === 0 ? `${this.pick(WORDS)}_${this.pick(WORDS)}` : this.pick(WORDS));
    return [...names];
  }

  /** @returns `[schema, value]` */
  scalar() {
    switch (this.below(12)) {
      case 0:
        return [{ type: 'integer' }, this.below(10_000)];
      case 1:
        return [{ type: 'integer', minimum: 0, maximum: 1000 }, this.below(1000)];
      case 2:
        return [{ type: 'number', minimum: 0 }, this.below(100_000) / 100];
      case 3:
        return [{ type: 'boolean' }, this.below(2) === 0];
      case 4: {
        const values = this.names(3 + this.below(6));
        return [{ type: 'string', enum: values }, this.pick(values)];
      }
      case 5:
        return [{ type: ['string', 'null'] }, this.below(2) === 0 ? null : this.text(3)];
      case 6:
        return [{ type: 'string', maxLength: 80 }, this.text(5)];
      case 7:
        return [
          { type: 'string', format: 'date' },
          `20${10 + this.below(15)}-0${1 + this.below(9)}-1${this.below(10)}`,
        ];
      case 8:
        return [{ type: 'string', pattern: '^[A-Z]{2}-[0-9]{3,6}$' }, `AB-${1000 + this.below(9000)}`];
      default:
        return [{ type: 'string' }, this.text(2 + this.below(12))];
    }
  }

  array(depth) {
    const [items, first] = this.any(depth - 1);
    const count = 1 + this.below(3);
    return [
      { type: 'array', items, ...(this.below(2) === 0 && { minItems: 1, maxItems: 10 }) },
      Array(count).fill(first),
    ];
  }

  /** @param closed no other members */
  object(fields, depth, closed = this.below(2) === 0) {
    const names = this.names(fields);
    const made = names.map((name) => [name, ...this.any(depth - 1)]);
    const required = names.filter((_, index) => index === 0 || this.below(3) > 0);
    const present = made.filter(([name]) => required.includes(name) || this.below(2) === 0);
    return [
      {
        type: 'object',
        properties: Object.fromEntries(made.map(([name, schema]) => [name, schema])),
        required,
        ...(closed && { additionalProperties: false }),
      },
      Object.fromEntries(present.map(([name, , value]) => [name, value])),
    ];
  }

  any(depth) {
    const kind = this.below(10);
    if (depth <= 0 || kind < 6) return this.scalar();
    if (kind === 6) return this.array(depth);
    if (kind < 9) return this.object(2 + this.below(5), depth);
    const [first, value] = this.object(2, depth, true);
    const [second] = this.scalar();
    return [{ anyOf: [first, second] }, value];
  }
}

/** Schemas of tools: 3 to 10 fields, one level of lists. */
export const toolSchemas = (count = 40) =>
  Array.from({ length: count }, (_, seed) => {
    const maker = new Maker(seed + 1);
    return maker.object(3 + (seed % 8), 1);
  });

/** Schemas of documents, up to four levels deep. */
export const documentSchemas = (count = 200) =>
  Array.from({ length: count }, (_, seed) => {
    const maker = new Maker(1000 + seed);
    return maker.object(3 + maker.below(18), 1 + maker.below(4));
  });
