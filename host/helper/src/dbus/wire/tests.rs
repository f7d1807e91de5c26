use super::*;
use crate::protocol::{LARGEST_REPLY, MOST_ITEMS};
use proptest::prelude::*;

const METHOD: Method<'_> = Method { destination: "org.a.b", path: "/a", interface: "org.a.b", name: "Do" };

/// A message that answers call `to` of `destination`, with this body; an error if it has a name.
pub(in crate::dbus) fn answer_to(
    (to, destination): (u32, &str),
    error: Option<&str>,
    (signature, body): (&str, &[u8]),
) -> Vec<u8> {
    let mut fields = Writer::default();
    fields.bytes(&[field::REPLY_SERIAL, 1, b'u', 0]);
    fields.bytes(&to.to_le_bytes());
    for (code, text) in [(field::DESTINATION, Some(destination)), (field::ERROR_NAME, error)] {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        fields.align(8);
        fields.bytes(&[code, 1, b's', 0]);
        fields.text(text);
    }
    fields.align(8);
    fields.bytes(&[field::SIGNATURE, 1, b'g', 0]);
    fields.bytes(&[u8::try_from(signature.len()).expect("a short one")]);
    fields.bytes(signature.as_bytes());
    fields.bytes(&[0]);
    let mut message = Writer::default();
    message.bytes(&[LITTLE_ENDIAN, if error.is_some() { ERROR } else { METHOD_RETURN }, 0, VERSION]);
    message.length(body.len());
    message.bytes(&100_u32.to_le_bytes());
    message.length(fields.0.len());
    message.bytes(&fields.0);
    message.align(8);
    message.bytes(body);
    message.0
}

fn answer(signature: &str, body: &[u8]) -> Vec<u8> {
    answer_to((7, ""), None, (signature, body))
}

/// An array of texts, as a body.
pub(in crate::dbus) fn texts(count: usize) -> Vec<u8> {
    let mut array = Writer::default();
    for number in 0..count {
        array.text(&format!("text {number}"));
    }
    let mut body = Writer::default();
    body.length(array.0.len());
    body.bytes(&array.0);
    body.0
}

fn items(signature: &str, body: &[u8]) -> Result<Vec<(Vec<u32>, DbusValue)>, Bad> {
    let bytes = answer(signature, body);
    assert_eq!(length_of(&bytes), Ok(Some(bytes.len())));
    let message = Message::read(&bytes)?;
    assert_eq!((message.kind, message.answers), (METHOD_RETURN, Some(7)));
    Ok(message.items()?.into_iter().map(|item| (item.position, item.value)).collect())
}

#[test]
fn what_is_written_is_read_as_it_was_meant() {
    let arguments = [
        Argument::Byte(1),
        Argument::Text("text é".to_owned()),
        Argument::Boolean(true),
        Argument::Unsigned16(2),
        Argument::Unsigned32(3),
        Argument::Unsigned64(u64::MAX),
        Argument::Signed16(-4),
        Argument::Signed32(-5),
        Argument::Signed64(i64::MIN),
    ];
    let bytes = method_call(9, METHOD, &arguments);
    assert_eq!(length_of(&bytes), Ok(Some(bytes.len())));
    let message = Message::read(&bytes).expect("it is a message");
    assert_eq!((message.kind, message.signature.as_str()), (METHOD_CALL, "ysbqutnix"));
    let values: Vec<DbusValue> =
        message.items().expect("its values").into_iter().map(|item| item.value).collect();
    assert_eq!(
        values,
        [
            DbusValue::Unsigned(1),
            DbusValue::Text("text é".to_owned()),
            DbusValue::Boolean(true),
            DbusValue::Unsigned(2),
            DbusValue::Unsigned(3),
            DbusValue::Unsigned(u64::MAX),
            DbusValue::Signed(-4),
            DbusValue::Signed(-5),
            DbusValue::Signed(i64::MIN),
        ]
    );
}

#[test]
fn a_call_without_arguments_has_no_signature() {
    let message = Message::read(&method_call(1, METHOD, &[])).expect("it is a message");
    assert_eq!((message.signature.as_str(), message.items()), ("", Ok(Vec::new())));
}

#[test]
fn every_basic_value_has_its_place_however_deep() {
    // u, a(sv): one entry whose variant holds an array of two numbers.
    let mut body = Writer::default();
    body.bytes(&5_u32.to_le_bytes());
    let mut array = Writer::default();
    array.text("k");
    array.bytes(&[2, b'a', b'q', 0]);
    array.align(4);
    array.bytes(&4_u32.to_le_bytes());
    array.bytes(&[1, 0, 2, 0]);
    body.length(array.0.len());
    body.align(8);
    body.bytes(&array.0);
    let found = items("ua(sv)", &body.0).expect("it is sound");
    assert_eq!(
        found,
        [
            (vec![0], DbusValue::Unsigned(5)),
            (vec![1, 0, 0], DbusValue::Text("k".to_owned())),
            (vec![1, 0, 1, 0, 0], DbusValue::Unsigned(1)),
            (vec![1, 0, 1, 0, 1], DbusValue::Unsigned(2)),
        ]
    );
    assert_eq!(items("ad", &[0; 8]).expect("an empty array"), []);
}

#[test]
fn the_other_order_of_bytes_is_read_as_well() {
    let bytes = [
        &[BIG_ENDIAN, METHOD_RETURN, 0, VERSION, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 15][..],
        &[field::REPLY_SERIAL, 1, b'u', 0, 0, 0, 0, 7, field::SIGNATURE, 1, b'g', 0, 1, b'i', 0, 0],
        &[0xff, 0xff, 0xff, 0xfe],
    ]
    .concat();
    assert_eq!(length_of(&bytes), Ok(Some(bytes.len())));
    let message = Message::read(&bytes).expect("it is a message");
    assert_eq!(message.answers, Some(7));
    assert_eq!(message.items().expect("a value")[0].value, DbusValue::Signed(-2));
}

#[test]
fn what_is_too_much_is_refused_before_it_is_held() {
    let huge = [LITTLE_ENDIAN, METHOD_RETURN, 0, VERSION, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(length_of(&huge), Err(Bad::TooLarge));
    let array = |bytes: usize| {
        let mut body = Writer::default();
        body.length(bytes);
        body.0.resize(4 + bytes, 0);
        body.0
    };
    assert_eq!(items("ay", &array(MOST_ITEMS)).expect("as many as may be").len(), MOST_ITEMS);
    assert_eq!(items("ay", &array(MOST_ITEMS + 1)), Err(Bad::TooLarge));
    assert_eq!(items("aas", &array(2 << 20)), Err(Bad::TooLarge), "half a million empty arrays");
    let mut text = Writer::default();
    text.text(&"x".repeat(LARGEST_REPLY + 1));
    assert_eq!(items("s", &text.0), Err(Bad::TooLarge));
}

#[test]
fn what_does_not_fit_its_signature_is_refused() {
    for (signature, body) in [
        ("u", &[1, 2, 3][..]),
        ("y", &[1, 2]),
        ("s", &[9, 0, 0, 0, b'a', 0]),
        ("s", &[1, 0, 0, 0, 0xff, 0]),
        ("b", &[2, 0, 0, 0]),
        ("ay", &[9, 0, 0, 0, 1]),
        ("au", &[3, 0, 0, 0, 1, 0, 0, 0]),
        ("()", &[]),
        ("a", &[0, 0, 0, 0]),
        ("(y", &[1]),
        ("(y}", &[1]),
        ("y)", &[1]),
        ("h", &[0, 0, 0, 0]),
        ("v", &[2, b'y', b'y', 0, 1, 1]),
        ("v", &[0, 0]),
    ] {
        assert!(matches!(items(signature, body), Err(Bad::Malformed(_))), "{signature} {body:?}");
    }
    let mut deep = [1, b'v', 0].repeat(100);
    deep.extend([1, b'y', 0, 1]);
    assert_eq!(items("v", &deep), Err(Bad::Malformed("its depth")));
}

#[test]
fn a_message_in_part_is_waited_for() {
    let bytes = answer("y", &[1]);
    for cut in 0..16 {
        assert_eq!(length_of(&bytes[..cut]), Ok(None));
    }
    assert!(length_of(b"HTTP/1.1 200 OK\r\n").is_err());
}

proptest! {
    #[test]
    fn garbage_is_refused_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), signature in "[yqutnixdbsog(){}av]{0,12}") {
        let _refused = length_of(&bytes).is_err();
        if let Ok(message) = Message::read(&bytes) {
            let _refused = message.items().is_err();
        }
        let _refused = items(&signature, &bytes).is_err();
    }
}
