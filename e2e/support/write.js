import assert from 'node:assert/strict';

/**
 * Writes samples of one series as a numbered source does, by Remote-Write 2.0; docs/HTTP.md has the form.
 *
 * @param {string} url of the server
 * @param {string} source
 * @param {number} number of the batch
 * @param {Readonly<Record<string, string>>} labels
 * @param {readonly (readonly [time: number, value: number])[]} samples
 */
export async function write(url, source, number, labels, samples) {
  const symbols = ['', ...Object.entries(labels).flat()];
  const refs = Uint8Array.from(symbols.slice(1).keys(), i => i + 1);
  const points = samples.map(([time, value]) => {
    const double = Buffer.alloc(8);
    double.writeDoubleLE(value);
    return field(2, Buffer.concat([Buffer.of(9), double, Buffer.of(16), varint(time)]));
  });
  const series = Buffer.concat([field(1, refs), ...points]);
  const request = Buffer.concat([...symbols.map(symbol => field(4, Buffer.from(symbol))), field(5, series)]);
  const answer = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'content-encoding': 'snappy',
      'stripchart-source': source,
      'stripchart-seq': String(number),
      'stripchart-merged': '0',
    },
    body: literal(request),
  });
  assert.equal(answer.status, 204, await answer.text());
}

/** A field of protobuf that holds bytes. */
function field(/** @type {number} */ number, /** @type {Uint8Array} */ value) {
  return Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
}

/** Snappy's form for data that is not compressed, up to 64 KiB. */
function literal(/** @type {Buffer} */ data) {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(data.length - 1);
  return new Uint8Array(Buffer.concat([varint(data.length), Buffer.of(0xf4), length, data]));
}

function varint(/** @type {number} */ n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}
