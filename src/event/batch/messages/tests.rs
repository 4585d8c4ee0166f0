use super::*;
use proptest::prelude::*;

/// Notes what it gets.
#[derive(Debug, Default)]
struct Notes {
    seqs: Vec<u64>,
    malformed: Vec<String>,
}

impl MessageObserver for Notes {
    fn on_event(&mut self, seq: u64) {
        self.seqs.push(seq);
    }

    fn on_malformed(&mut self, _error: &str, message: &[u8]) {
        self.malformed.push(String::from_utf8_lossy(message).into_owned());
    }
}

fn message() -> impl Strategy<Value = String> {
    let commit = |record: &str, seq: u64| {
        format!(
            r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#commit","cid":"bafy","collection":"a.b.c","did":"did:plc:a","operation":"create","record":{record},"rev":"r","rkey":"k","seq":{seq},"time":"2026-07-04T14:38:08.085434Z"}}}}"#
        )
    };
    let account = |seq: u64| {
        format!(
            r#"{{"$type":"message","payload":{{"did":"did:plc:b","account":{{"seq":{seq}}},"$type":"network.bsky.jetstream.subscribeEvents#account","seq":{seq},"time":"2026-07-04T14:38:08.085434Z"}}}}"#
        )
    };
    prop_oneof![
        6 => ("[a-z\u{e9}]{0,900}", 1..99_u64)
            .prop_map(move |(text, seq)| commit(&format!(r#"{{"text":"{text}"}}"#), seq)),
        2 => (1..99_u64).prop_map(account),
        1 => (1..99_u64).prop_map(move |seq| account(seq).replace("did:plc", "did\\u003aplc")),
        1 => (1..99_u64).prop_map(move |seq| commit("1", seq).replace(',', " ,\n")),
        1 => (1..99_u64).prop_map(move |seq| commit("{", seq)),
        1 => Just(r#"{"$type":"error","error":"E"}"#.to_owned()),
        1 => Just("{broken".to_owned()),
    ]
}

/// Decodes one message into memory of its own.
fn alone(message: &str, format: EventFormat) -> Option<(Vec<u8>, Option<HeaderSpans>)> {
    let mut compact = None;
    let event = read_unusual(message.as_bytes(), &mut compact).ok()?;
    let (line, header) = match format {
        EventFormat::V1 => {
            let mut line = Vec::new();
            let header = event.write_v1_line(&mut line);
            (line, header)
        }
        EventFormat::Native => (event.native_line().to_vec(), event.native_spans()),
    };
    Some((line.clone(), header.as_parsed(line.len())))
}

proptest! {
    #[test]
    fn decoding_in_place_gives_what_each_message_gives_alone(
        messages in prop::collection::vec((message(), 0..6_usize), 0..12),
        is_native in any::<bool>(),
    ) {
        let format = if is_native { EventFormat::Native } else { EventFormat::V1 };
        let mut batch = Batch::default();
        for (message, gap) in &messages {
            batch.line_buffer().extend(vec![b'.'; *gap]);
            batch.line_buffer().extend_from_slice(message.as_bytes());
            batch.take_line(*gap, message.len());
        }
        batch.mark_encoded();
        let mut notes = Notes::default();
        batch.decode(format, &mut MessageDecoder::default(), &mut notes);
        let decoded = messages.iter().map(|(message, _)| (message, alone(message, format)));
        let (sound, malformed): (Vec<_>, Vec<_>) = decoded.partition(|(_, line)| line.is_some());
        let expected: Vec<_> = sound.into_iter().filter_map(|(_, line)| line).collect();
        let lines: Vec<_> = batch.lines().map(<[u8]>::to_vec).collect();
        let headers: Vec<_> = (0..batch.len()).map(|i| batch.header(i)).collect();
        prop_assert_eq!(lines.iter().cloned().zip(headers).collect::<Vec<_>>(), expected);
        prop_assert!(notes.malformed.iter().eq(malformed.iter().map(|(message, _)| *message)));
        prop_assert_eq!(notes.seqs.len(), batch.len());
        prop_assert!(!batch.is_encoded());
        let compact = crate::event::batch::CompactBatch::from(batch);
        prop_assert_eq!(compact.bytes().len(), lines.iter().map(|line| line.len() + 1).sum::<usize>());
        prop_assert!(compact.iter().eq(&lines));
    }
}

#[test]
fn room_is_made_before_the_messages_that_follow() {
    let mut batch = Batch::default();
    [b"one", b"two", b"six"].iter().for_each(|line| batch.push(*line));
    batch.insert_room(1, 5);
    assert!(batch.lines().eq([b"one", b"two", b"six"]));
    assert_eq!(batch.buffered_bytes(), 17);
}

#[test]
fn a_line_is_removed_with_its_entry() {
    let mut batch = Batch::default();
    [b"one", b"two", b"six"].iter().for_each(|line| batch.push(*line));
    batch.remove_line(1);
    batch.remove_line(7);
    assert!(batch.lines().eq([b"one", b"six"]));
}
