"""A user of confluent-kafka (librdkafka) who may write to `lab.result` and to no other topic.

Usage: secured.py BOOTSTRAP CA_FILE USER PASSWORD. Prints what became of one record for each.
"""

import sys

from confluent_kafka import Producer

bootstrap, ca_file, user, password = sys.argv[1:]
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": ca_file,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "message.timeout.ms": 20_000,
    }
)


def told(error, _message):
    print("written" if error is None else f"refused {error.name()}")


for topic in ["lab.result", "billing.invoice"]:
    producer.produce(topic, value="x", on_delivery=told)
    producer.flush(30)
