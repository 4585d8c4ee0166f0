use super::*;

fn event(seq: u64) -> String {
    format!(
        r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
    )
}

fn decoder(format: EventFormat) -> V2Decoder {
    V2Decoder::new(format, Decompressor::new(None, 1 << 20), Arc::default())
}

fn decode(decoder: &mut V2Decoder, message: &str, batch: &mut Batch) -> Decoded {
    decoder.decode(WireMessage::Text(message.as_bytes()), batch)
}

#[test]
fn events_become_lines_of_the_requested_format() {
    let mut batch = Batch::default();
    for format in [EventFormat::V1, EventFormat::Native] {
        let mut decoder = decoder(format);
        assert_eq!(decoder.server_kind(), None);
        assert_eq!(decode(&mut decoder, &event(5), &mut batch), Decoded::Event);
        assert_eq!(decoder.server_kind(), Some(ServerKind::V2));
    }
    let lines: Vec<_> = batch.lines().collect();
    assert_eq!(EventFormat::V1.parse(lines[0]), EventFormat::Native.parse(lines[1]));
    assert!(lines[1].starts_with(br#"{"$type":"network"#));
}

#[test]
fn of_repeated_payloads_only_the_last_counts() {
    let (first, rest) = (event(5), event(6));
    let typeless = rest.replace("\"$type\":\"network", "\"type\":\"network");
    let begin = first.trim_end_matches('}').to_owned() + "}";
    for between in ["", "\"payload\":\"text\","] {
        let message = |last: &str| {
            let last = last.trim_start_matches("{\"$type\":\"message\",");
            format!("{begin},{between}{last}")
        };
        let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
        assert_eq!(decode(&mut decoder, &message(&rest), &mut batch), Decoded::Event);
        assert_eq!(batch.header(0).and_then(|header| header.cursor()), Some(6));
        decode(&mut decoder, &message(&typeless), &mut batch);
        assert_eq!(batch.len(), 1, "members of the first payload became an event");
    }
}

#[test]
fn the_sidecar_has_what_a_parse_of_the_line_finds() {
    let with_did = |did: &str| event(5).replace("did:plc:a", did);
    let spaced = event(5).replace("\"payload\":{", "\"x\":[1, 2], \"payload\" : { ");
    for format in [EventFormat::V1, EventFormat::Native] {
        for message in [event(5), spaced.clone(), event(5).replace('{', "{ \n")] {
            let (mut batch, mut decoder) = (Batch::default(), decoder(format));
            batch.push(b"before");
            assert_eq!(decode(&mut decoder, &message, &mut batch), Decoded::Event);
            let parsed = format.parse_spans(batch.lines().last().unwrap()).unwrap();
            assert_eq!(batch.header(1), Some(parsed));
        }
        // The dedup stage has to check escapes.
        for did in ["d\\u0069d", "\\q"] {
            let (mut batch, mut decoder) = (Batch::default(), decoder(format));
            assert_eq!(decode(&mut decoder, &with_did(did), &mut batch), Decoded::Event);
            assert_eq!(batch.header(0), None);
        }
    }
}

#[test]
fn white_space_around_and_within_a_message_is_accepted() {
    let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::Native));
    let value: serde_json::Value = serde_json::from_str(&event(6)).unwrap();
    for message in [format!(" {}\r\n", event(5)), serde_json::to_string_pretty(&value).unwrap()] {
        assert_eq!(decode(&mut decoder, &message, &mut batch), Decoded::Event);
    }
    assert!(batch.lines().all(|line| EventFormat::Native.parse(line).is_ok()));
    assert_eq!(decoder.metrics.malformed.get(), 0);
}

#[test]
fn an_advisory_is_not_an_event_and_an_error_ends_the_connection() {
    let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
    let mut decode = |message: &str| {
        let decoded = decode(&mut decoder, message, &mut batch);
        (decoded, decoder.is_clamped())
    };
    let info = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"NAME","message":"m"}}"#;
    assert_eq!(decode(info), (Decoded::Advisory, false));
    assert_eq!(decode(&info.replace("NAME", OUTDATED_CURSOR)), (Decoded::Advisory, true));
    let error = r#"{"$type":"error","error":"NAME","message":"m\u001b[31m"}"#;
    for (name, close) in [
        ("ConsumerTooSlow", ServerClose::TooSlow("m [31m".into())),
        ("InternalError", ServerClose::Internal("m [31m".into())),
        ("New", ServerClose::Other { name: "New".into(), message: "m [31m".into() }),
    ] {
        let decoded = decode(&error.replace("NAME", name)).0;
        assert_eq!(decoded, Decoded::ServerClose(close));
    }
    assert!(batch.is_empty());
}

#[test]
fn an_object_without_a_type_means_another_protocol_only_before_the_first_v2_message() {
    let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
    let v1 = r#"{"did":"did:plc:a","time_us":1,"kind":"commit"}"#;
    assert_eq!(decode(&mut decoder, "{broken", &mut batch), Decoded::Skipped);
    assert_eq!(decode(&mut decoder, v1, &mut batch), Decoded::NotV2);
    assert_eq!(decode(&mut decoder, &event(5), &mut batch), Decoded::Event);
    assert_eq!(decode(&mut decoder, v1, &mut batch), Decoded::Skipped);
    assert_eq!(decoder.metrics.malformed.get(), 2);
}

#[test]
fn sequence_numbers_that_do_not_rise_are_counted_and_their_events_kept() {
    let (mut batch, mut decoder) = (Batch::default(), decoder(EventFormat::V1));
    for seq in [5, 5, 4, 6] {
        decode(&mut decoder, &event(seq), &mut batch);
    }
    assert_eq!((batch.len(), decoder.metrics.disordered.get()), (4, 2));
}

#[test]
fn events_stay_encoded_after_the_first_one_if_another_thread_decodes_them() {
    let mut decoder = decoder(EventFormat::V1);
    decoder.set_deferring(true);
    let mut batch = Batch::default();
    assert!(!decoder.reads_inline(&batch));
    decode(&mut decoder, &event(5), &mut batch);
    // No batch has lines and messages.
    decode(&mut decoder, &event(6), &mut batch);
    assert!(batch.header(1).is_some() && !batch.is_encoded() && !decoder.reads_inline(&batch));
    let mut batch = Batch::default();
    assert!(decoder.reads_inline(&batch));
    let spaced = event(7).replace(',', ", ");
    let info = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"N"}}"#;
    let error = r#"{"$type":"error","error":"InternalError"}"#;
    let reversed = r#"{"payload":{"seq":8,"$type":"network.bsky.jetstream.subscribeEvents#commit"},"$type":"message"}"#;
    for (message, expected) in [
        (format!(" {}\r\n", event(7)), Decoded::Event),
        (info.to_owned(), Decoded::Advisory),
        (spaced.clone(), Decoded::Event),
        (error.to_owned(), Decoded::ServerClose(ServerClose::Internal(String::new()))),
        ("{broken".to_owned(), Decoded::Skipped),
        (reversed.to_owned(), Decoded::Event),
    ] {
        assert_eq!(decode(&mut decoder, &message, &mut batch), expected);
    }
    assert!(batch.is_encoded() && decoder.reads_inline(&batch));
    assert!(batch.lines().eq([event(7).as_bytes(), spaced.as_bytes(), reversed.as_bytes()]));
}

#[test]
fn compressed_events_stay_encoded_where_they_are_decompressed() {
    let inflater = crate::compression::inflate::Inflater::new(&[]).unwrap();
    let decompressor = Decompressor::new(Some(inflater), 1 << 20);
    let mut decoder = V2Decoder::new(EventFormat::V1, decompressor, Arc::default());
    decoder.set_deferring(true);
    let packed = |text: &str| zstd::bulk::compress(text.as_bytes(), 3).unwrap();
    let mut batch = Batch::default();
    for message in [event(5), event(6), "{broken".into(), format!("\n{} ", event(7))] {
        decoder.decode(WireMessage::Binary(&packed(&message)), &mut batch);
        if message == event(5) {
            batch = Batch::default();
        }
    }
    decoder.decode(WireMessage::Binary(b"no frame"), &mut batch);
    assert!(batch.is_encoded() && !decoder.reads_inline(&batch));
    assert!(batch.lines().eq([event(6).as_bytes(), event(7).as_bytes()]));
    assert_eq!((batch.partial_line(), decoder.metrics.malformed.get()), (&b""[..], 2));
}
