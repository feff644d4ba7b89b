"""The scenario of interop/README.md, driven by confluent-kafka (librdkafka).

Usage: scenario.py BOOTSTRAP PREFIX. Prints one JSON object per case; exit code 0 only if all held.
"""

import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
STRATEGIES = ["range", "cooperative-sticky", "consumer"]
RECORDS = 2_000
PARTITIONS = 6
DEADLINE_S = 60


def value_of(number):
    """Long enough and repetitive enough that every codec really compresses."""
    return f"{number:08d}:" + "observation " * (number % 17)


def create(admin, topic):
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(30)


def produce(bootstrap, topic, codec):
    failed = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )

    def delivered(error, _message):
        if error is not None:
            failed.append(str(error))

    for number in range(RECORDS):
        producer.produce(
            topic,
            key=str(number % 50),
            value=value_of(number),
            headers={"number": str(number)},
            on_delivery=delivered,
        )
        producer.poll(0)
    producer.flush(30)
    return failed


class Member:
    """One consumer of the group; remembers how often partitions were given to it."""

    def __init__(self, bootstrap, group, strategy):
        self.assignments = 0
        self.assigned = set()
        self.incremental = strategy != "range"
        if strategy == "consumer":  # KIP-848: the coordinator assigns, and names the times
            how = {"group.protocol": "consumer"}
        else:
            how = {
                "partition.assignment.strategy": strategy,
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 500,
            }
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **how,
            }
        )

    def subscribe(self, topic):
        self.consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)

    def _assigned(self, _consumer, partitions):
        self.assignments += 1
        now = {p.partition for p in partitions}
        self.assigned = self.assigned | now if self.incremental else now

    def _revoked(self, consumer, partitions):
        gone = {p.partition for p in partitions}
        self.assigned -= gone
        # What was read must be committed before another member takes over, or it is read twice.
        try:
            consumer.commit(asynchronous=False)
        except Exception:  # nothing to commit yet
            pass


def consume(bootstrap, topic, group, strategy):
    """A first member reads a third; a second joins; together they read the rest."""
    first, second = Member(bootstrap, group, strategy), Member(bootstrap, group, strategy)
    first.subscribe(topic)
    joined = False
    seen = {}
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        members = [first, second] if joined else [first]
        for member in members:
            for message in member.consumer.consume(num_messages=200, timeout=0.05):
                if message.error():
                    raise SystemExit(f"consume: {message.error()}")
                seen[(message.partition(), message.offset())] = message
        if not joined and len(seen) >= RECORDS // 3:
            second.subscribe(topic)
            joined = True
        if joined and first.assigned and second.assigned and len(seen) >= RECORDS:
            break
    both = len(first.assigned) + len(second.assigned)
    for member in (first, second):
        try:
            member.consumer.commit(asynchronous=False)
        except Exception:  # nothing new to commit
            pass
        member.consumer.close()
    return seen, both, second.assignments


def check(seen):
    """(missing, changed, disordered within a key)."""
    numbers, changed, disordered, last = set(), 0, 0, {}
    for _, message in sorted(seen.items()):
        number = int(dict(message.headers())["number"])
        if message.value().decode() != value_of(number) or message.key().decode() != str(number % 50):
            changed += 1
        if last.get(message.key(), -1) > number:
            disordered += 1
        last[message.key()] = number
        numbers.add(number)
    return RECORDS - len(numbers), changed, disordered


def committed(bootstrap, topic, group):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    total = sum(max(0, p.offset) for p in consumer.committed(parts, timeout=30))
    consumer.close()
    return total


def transaction(producer, topic, values, ending, offset=None):
    """One transaction; with `offset`, it commits that for a group as well."""
    producer.begin_transaction()
    for number, value in enumerate(values):
        producer.produce(topic, value=value, partition=number % PARTITIONS)
    if offset is not None:
        reader = Consumer({"bootstrap.servers": producer.bootstrap, "group.id": f"{topic}-g"})
        place = TopicPartition(topic, 0, offset)
        producer.send_offsets_to_transaction([place], reader.consumer_group_metadata(), 30)
        reader.close()
    producer.flush(30)
    getattr(producer, f"{ending}_transaction")(30)


class Transactional(Producer):
    def __init__(self, bootstrap, topic):
        super().__init__({"bootstrap.servers": bootstrap, "transactional.id": f"{topic}-id"})
        self.bootstrap = bootstrap
        self.init_transactions(30)


def read_committed(bootstrap, topic):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}-reader",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, it, 0) for it in range(PARTITIONS)])
    values, ends, deadline = [], set(), time.monotonic() + DEADLINE_S
    while len(ends) < PARTITIONS and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            ends.add(message.partition())
        else:
            values.append(message.value().decode())
    consumer.close()
    return values


def transactions(bootstrap, topic):
    """Every third transaction is aborted; a newer producer fences the older one."""
    old, expected, offset = Transactional(bootstrap, topic), [], None
    for round in range(30):
        values = [f"{round}-{it}" for it in range(2 * PARTITIONS)]
        ending = "commit" if round % 3 else "abort"
        transaction(old, topic, values, ending, offset=round)
        if ending == "commit":
            expected, offset = expected + values, round
    new, fenced = Transactional(bootstrap, topic), False
    try:
        transaction(old, topic, ["fenced"], "commit")
    except KafkaException as error:
        fenced = error.args[0].fatal()
    transaction(new, topic, ["after"], "commit")
    seen = read_committed(bootstrap, topic)
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-g"})
    found = reader.committed([TopicPartition(topic, 0)], 30)[0].offset
    reader.close()
    row = {
        "case": "transactions",
        "seen": len(seen),
        "expected": len(expected) + 1,
        "fenced": fenced,
        "offset": found,
    }
    row["ok"] = sorted(seen) == sorted(expected + ["after"]) and fenced and found == offset
    return row


def main(bootstrap, prefix):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    good = True
    for index, codec in enumerate(CODECS):
        strategy = STRATEGIES[index % len(STRATEGIES)]
        topic, group = f"{prefix}-{codec}", f"{prefix}-{codec}"
        create(admin, topic)
        failed = produce(bootstrap, topic, codec)
        seen, assigned, second_assignments = consume(bootstrap, topic, group, strategy)
        missing, changed, disordered = check(seen)
        row = {
            "case": f"{codec}, {strategy}",
            "sent": RECORDS - len(failed),
            "missing": missing,
            "changed": changed,
            "disordered": disordered,
            "assigned": assigned,
            "rebalanced": second_assignments > 0,
            "committed": committed(bootstrap, topic, group),
        }
        row["ok"] = (
            row["sent"] == RECORDS
            and (missing, changed, disordered) == (0, 0, 0)
            and assigned == PARTITIONS
            and row["rebalanced"]
            and row["committed"] == RECORDS
        )
        good &= row["ok"]
        print(json.dumps(row), flush=True)
    topic = f"{prefix}-transactions"
    create(admin, topic)
    row = transactions(bootstrap, topic)
    print(json.dumps(row), flush=True)
    return 0 if good and row["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
