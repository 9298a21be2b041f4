// Prometheus Remote-Write 2.0 by hand: io.prometheus.write.v2.Request, in snappy's block format with literals only.

/** @typedef {{ labels: [string, string][], samples: { t: number, v: number, bits?: bigint }[] }} WriteSeries */

class Bytes {
  constructor() {
    this.data = Buffer.alloc(4096);
    this.length = 0;
  }

  /** @param {number} more */
  room(more) {
    if (this.length + more <= this.data.length) return;
    const grown = Buffer.alloc(Math.max(this.data.length * 2, this.length + more));
    this.data.copy(grown, 0, 0, this.length);
    this.data = grown;
  }

  /** @param {number} n */
  varint(n) {
    this.room(10);
    while (n > 127) {
      this.data[this.length++] = (n % 128) + 128;
      n = Math.floor(n / 128);
    }
    this.data[this.length++] = n;
  }

  /** @param {Uint8Array} bytes */
  raw(bytes) {
    this.room(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** @param {number} number @param {Uint8Array} bytes */
  field(number, bytes) {
    this.varint(number * 8 + 2);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  done() {
    return this.data.subarray(0, this.length);
  }
}

/** A time as a protobuf int64; those before 1970 have ten bytes. @param {Bytes} out @param {number} t */
function int64(out, t) {
  if (t >= 0) return out.varint(t);
  let rest = BigInt.asUintN(64, BigInt(t));
  while (rest > 127n) {
    out.raw(Uint8Array.of(Number(rest & 127n) | 128));
    rest >>= 7n;
  }
  out.raw(Uint8Array.of(Number(rest)));
}

/** @param {WriteSeries[]} list */
export function request(list) {
  const symbols = new Map([['', 0]]);
  /** @param {string} s */
  const symbol = s => {
    let index = symbols.get(s);
    if (index === undefined) {
      index = symbols.size;
      symbols.set(s, index);
    }
    return index;
  };
  const body = new Bytes();
  for (const { labels, samples } of list) {
    const refs = new Bytes();
    for (const [name, value] of labels) {
      refs.varint(symbol(name));
      refs.varint(symbol(value));
    }
    const series = new Bytes();
    series.field(1, refs.done());
    for (const { t, v, bits } of samples) {
      const sample = new Bytes();
      const double = Buffer.alloc(9);
      double[0] = 9;
      if (bits === undefined) double.writeDoubleLE(v, 1);
      else double.writeBigUInt64LE(bits, 1);
      sample.raw(double);
      sample.varint(16);
      int64(sample, t);
      series.field(2, sample.done());
    }
    body.field(5, series.done());
  }
  const out = new Bytes();
  for (const s of symbols.keys()) out.field(4, Buffer.from(s));
  out.raw(body.done());
  return out.done();
}

/** @param {Uint8Array} bytes */
export function snappy(bytes) {
  const out = new Bytes();
  out.varint(bytes.length);
  for (let at = 0; at < bytes.length; at += 65536) {
    const chunk = bytes.subarray(at, at + 65536);
    out.raw(Uint8Array.of(0xf4, (chunk.length - 1) & 255, (chunk.length - 1) >> 8));
    out.raw(chunk);
  }
  return out.done();
}
