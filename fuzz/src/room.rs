//! Pages of a room, and answers of a homeserver.

const PAGE: &str = r#"{"chunk":[
{"event_id":"$3","sender":"@eve:x","type":"m.room.message","room_id":"!room:x","origin_server_ts":1,
 "content":{"msgtype":"m.text","body":"!no-go 4902.0.0 #7 slow","m.relates_to":{"m.in_reply_to":{"event_id":"$post"}}}},
{"event_id":"$2","sender":"@a:x","type":"m.reaction","room_id":"!room:x",
 "content":{"m.relates_to":{"rel_type":"m.annotation","key":"👍🏽","event_id":"$post"}}},
{"event_id":"$1","sender":"@b:x","type":"m.room.message","room_id":"!room:x","content":{},
 "unsigned":{"redacted_because":{"event_id":"$r","sender":"@b:x","type":"m.room.redaction","content":{"redacts":"$1"}}}},
{"event_id":"$post","sender":"@bot:x","type":"m.room.message","content":{"msgtype":"m.notice","org.stationmaster.poll":"ab"}}
],"end":"t1-2"}"#;

/// Seeds of both targets.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("room", "page", text(PAGE)),
        ("room_answers", "whoami", text(r#"{"user_id":"@bot:x"}"#)),
        ("room_answers", "members", text(r#"{"joined":{"@a:x":{}}}"#)),
        (
            "room_answers",
            "limited",
            text(r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slow","retry_after_ms":1500}"#),
        ),
        ("room_answers", "no_go", text("> <@a:x> ?\n\n!no-go 4902.0.0 #7 slow")),
    ]
}
