// The scenario of interop/README.md, driven by kafkajs.
//
// Usage: scenario.mjs BOOTSTRAP PREFIX. Prints one JSON object per case; exit code 0 only if all held.
import kafkajs from "kafkajs";
import SnappyCodec from "kafkajs-snappy";
import lz4 from "lz4-napi";
import * as zstd from "@bokuweb/zstd-wasm";

const { Kafka, CompressionTypes, CompressionCodecs, PartitionAssigners, logLevel } = kafkajs;
const RECORDS = 2000;
const PARTITIONS = 6;
const DEADLINE_MS = 60_000;
const CODECS = [
  ["none", CompressionTypes.None],
  ["gzip", CompressionTypes.GZIP],
  ["snappy", CompressionTypes.Snappy],
  ["lz4", CompressionTypes.LZ4],
  ["zstd", CompressionTypes.ZSTD],
];

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (buffer) => lz4.decompressFrame(buffer),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});

const valueOf = (n) => String(n).padStart(8, "0") + ":" + "observation ".repeat(n % 17);

async function until(condition, what) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${DEADLINE_MS} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function produce(kafka, topic, compression) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  let sent = 0;
  for (let from = 0; from < RECORDS; from += 250) {
    const messages = Array.from({ length: 250 }, (_, i) => from + i).map((n) => ({
      key: String(n % 50),
      value: valueOf(n),
      headers: { number: String(n) },
    }));
    await producer.send({ topic, messages, compression, acks: -1 });
    sent += messages.length;
  }
  await producer.disconnect();
  return sent;
}

async function join(kafka, group, topic, seen) {
  const member = { owned: [], consumer: null };
  member.consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: 10_000,
    heartbeatInterval: 500,
    partitionAssigners: [PartitionAssigners.roundRobin],
    maxWaitTimeInMs: 200,
    maxBytesPerPartition: 4096,
  });
  member.consumer.on("consumer.group_join", ({ payload }) => {
    member.owned = payload.memberAssignment[topic] ?? [];
  });
  await member.consumer.connect();
  await member.consumer.subscribe({ topic, fromBeginning: true });
  await member.consumer.run({
    autoCommitThreshold: 100,
    eachMessage: async ({ partition, message }) => {
      seen.set(`${partition}/${message.offset}`, { partition, ...message });
    },
  });
  return member;
}

async function consume(kafka, topic, group) {
  const seen = new Map();
  const first = await join(kafka, group, topic, seen);
  await until(() => seen.size >= RECORDS / 3, "a third of the records");
  const second = await join(kafka, group, topic, seen);
  await until(
    () =>
      seen.size >= RECORDS &&
      second.owned.length > 0 &&
      first.owned.length + second.owned.length === PARTITIONS,
    `all records and both members assigned (${seen.size} read)`,
  );
  const assigned = first.owned.length + second.owned.length;
  await first.consumer.disconnect();
  await second.consumer.disconnect();
  return { seen, assigned, rebalanced: second.owned.length > 0 };
}

function check(seen) {
  const numbers = new Set();
  const last = new Map();
  let changed = 0;
  let disordered = 0;
  const inOrder = [...seen.values()].sort(
    (a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset),
  );
  for (const message of inOrder) {
    const n = Number(message.headers.number.toString());
    const key = message.key.toString();
    if (message.value.toString() !== valueOf(n) || key !== String(n % 50)) changed += 1;
    if ((last.get(key) ?? -1) > n) disordered += 1;
    last.set(key, n);
    numbers.add(n);
  }
  return { missing: RECORDS - numbers.size, changed, disordered };
}

async function main(bootstrap, prefix) {
  await zstd.init();
  const kafka = new Kafka({ clientId: "interop", brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  let good = true;
  for (const [codec, compression] of CODECS) {
    const topic = `${prefix}-${codec}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] });
    const sent = await produce(kafka, topic, compression);
    const { seen, assigned, rebalanced } = await consume(kafka, topic, topic);
    const result = check(seen);
    const [offsets] = await admin.fetchOffsets({ groupId: topic, topics: [topic] });
    const committed = offsets.partitions.reduce((sum, p) => sum + Math.max(0, Number(p.offset)), 0);
    const ok =
      sent === RECORDS &&
      result.missing + result.changed + result.disordered === 0 &&
      assigned === PARTITIONS &&
      rebalanced &&
      committed === RECORDS;
    good &&= ok;
    console.log(
      JSON.stringify({ case: `${codec}, round-robin`, sent, ...result, assigned, rebalanced, committed, ok }),
    );
  }
  await admin.disconnect();
  return good ? 0 : 1;
}

process.exitCode = await main(process.argv[2], process.argv[3]);
