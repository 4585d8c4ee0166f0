//! The Kafka output, against librdkafka's mock cluster, which runs in the test's own process.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::fixture::Fixture;
use crate::support::{PATIENCE, Scratch};

const PARTITIONS: i32 = 3;

struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    consumer: BaseConsumer,
}

impl Kafka {
    /// Two brokers and the topic `t`.
    fn start() -> Self {
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("t", PARTITIONS, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "test");
        config.set("enable.auto.commit", "false");
        Self { consumer: config.create().unwrap(), cluster }
    }

    fn to(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.cluster.bootstrap_servers())
    }

    fn ends(&self) -> Vec<i64> {
        let end = |partition| {
            self.consumer.fetch_watermarks("t", partition, PATIENCE).map_or(0, |(_, high)| high)
        };
        (0..PARTITIONS).map(end).collect()
    }

    fn wait_for(&self, count: i64) {
        let patience = Instant::now() + PATIENCE;
        while self.ends().iter().sum::<i64>() < count {
            assert!(Instant::now() < patience, "only {:?} came", self.ends());
        }
    }

    /// Returns all messages of the topic, by partition.
    fn stored(&self) -> Vec<Vec<String>> {
        let ends = self.ends();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset("t", partition, Offset::Beginning).unwrap();
        }
        self.consumer.assign(&list).unwrap();
        let mut stored = vec![Vec::new(); PARTITIONS as usize];
        let patience = Instant::now() + PATIENCE;
        while stored.iter().map(Vec::len).sum::<usize>() < ends.iter().sum::<i64>() as usize {
            assert!(Instant::now() < patience);
            if let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(100)) {
                let payload = std::str::from_utf8(message.payload().unwrap()).unwrap();
                let did = payload.split('"').nth(3).unwrap();
                assert_eq!(message.key(), Some(did.as_bytes()));
                stored[message.partition() as usize].push(payload.to_owned());
            }
        }
        stored
    }
}

#[test]
fn a_run_that_is_killed_repeatedly_publishes_each_event_once() {
    let kafka = Kafka::start();
    let fixture = Fixture::new(8_000);
    fixture.begin_at_oldest();
    let mut kills = 0;
    for round in 0..6_i64 {
        let run = fixture.start(&kafka.to("t"), &["--checkpoint-every", "150ms"]);
        // A few messages more than are stored, so that the kill falls at an odd position.
        let more = kafka.ends().iter().sum::<i64>() + 1 + round * 311;
        kafka.wait_for(more.min(8_000));
        run.signal("KILL");
        kills += u32::from(run.wait().code() == -1);
    }
    assert!(kills >= 4, "{kills} kills");
    let ended = fixture.run(&kafka.to("t"), &[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    fixture.assert_keeps_accounts_in_order(&kafka.stored());
}

#[test]
fn brokers_that_restart_receive_each_event_once() {
    let kafka = Kafka::start();
    let fixture = Fixture::new(8_000);
    fixture.begin_at_oldest();
    let run = fixture.start(&kafka.to("t"), &[]);
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 3];
    for round in 0..4_i64 {
        let more = kafka.ends().iter().sum::<i64>() + 1 + round * 700;
        kafka.wait_for(more.min(8_000));
        let broker = 1 + (round % 2) as i32;
        kafka.cluster.broker_down(broker).unwrap();
        // A full disk, or unavailable replicas, look like this.
        kafka.cluster.request_errors(RDKafkaApiKey::Produce, &errors);
        std::thread::sleep(Duration::from_millis(100));
        kafka.cluster.broker_up(broker).unwrap();
        kafka.cluster.broker_round_trip_time(broker, Duration::from_millis(20)).unwrap();
    }
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    fixture.assert_keeps_accounts_in_order(&kafka.stored());
}

#[test]
fn a_permanent_error_ends_the_run_with_its_remedy() {
    let kafka = Kafka::start();
    let fixture = Fixture::new(500);
    let scratch = Scratch::new();
    let config = |name: &str, text: &str| {
        let path = scratch.path(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let small = config("small", "message.max.bytes = 1000\n");
    let ours = config("ours", "acks = 1\n");
    let odd = config("odd", "sasl.pasword = hidden\n");
    let wrong = config("wrong", "linger.ms = soon\nsasl.password = hidden\n");
    // No event is that large: the topic's own limit applies.
    for (config, code, log) in [
        (&ours, 2, "acks: skytail sets this itself"),
        (&odd, 2, "sasl.pasword: No such configuration property"),
        (&wrong, 2, "linger.ms: Invalid value"),
        (&small, 0, "stopped at the live tip"),
    ] {
        let ended = fixture.run(&kafka.to("t"), &["--cursor", "oldest", "--to-config", config]);
        assert_eq!(ended.code(), code, "{}", ended.stderr);
        assert!(ended.stderr.contains(log), "{log:?} is not in {}", ended.stderr);
        assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
    }
    let too_large = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE];
    kafka.cluster.request_errors(RDKafkaApiKey::Produce, &too_large);
    let ended = fixture.run(&kafka.to("t"), &["--cursor", "oldest"]);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--max-message-size"), "{}", ended.stderr);
}
