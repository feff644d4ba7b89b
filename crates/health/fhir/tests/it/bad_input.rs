//! What is said about bad input, and what is kept of it.

use crate::{options, outline, read_all};
use expect_test::{Expect, expect};
use systole_fhir::{Format, Limits, Options};
use systole_kit::ByteSize;

#[expect(clippy::needless_pass_by_value, reason = "expect![] is written in place")]
fn check(input: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&outline(input.as_ref(), options()));
}

/// A bundle with a good entry before and behind the one given.
fn between(entry: &str) -> String {
    let good =
        |id: &str| format!("{{\"resource\":{{\"resourceType\":\"Location\",\"id\":\"{id}\"}}}}");
    format!(
        "{{\"resourceType\":\"Bundle\",\n\"entry\":[\n{},\n{entry},\n{}]}}",
        good("before"),
        good("behind")
    )
}

const BAD_ENTRIES: &[&str] = &[
    r#"{"resource":{"resourceType":"Location","id":"x","id":"x"}}"#,
    r#"{"resource":{"resourceType":"Location","name":[{"a":1,"b":2,"\u0061":3}]}}"#,
    r#"{"resource":{"resourceType":"Location","active":tru}}"#,
    r#"{"resource":{"resourceType":"Location" "id":"x"}}"#,
    r#"{"resource":{"resourceType":"Location","a":[1,]}}"#,
    r#"{"resource":{"resourceType":"Location","a":01}}"#,
    r#"{"resource":{"resourceType":"Location","a":1.}}"#,
    r#"{"resource":{"resourceType":"Location","a":"\q"}}"#,
    r#"{"resource":{"resourceType":"Location","Jane Roe":nope}}"#,
    r#"{"resource":{"resourceType":"Location","id":"not an id"}}"#,
    r#"{"resource":{"resourceType":"Location","id":7}}"#,
    r#"{"resource":{"resourceType":"Transport","id":"x"}}"#,
    r#"{"resource":{"resourceType":"Jane","id":"x"}}"#,
    r#"{"resource":{"resourceType":7}}"#,
    r#"{"resource":{"id":"x"}}"#,
    r#"{"resource":[1]}"#,
    r#"{"resource":{"resourceType":"Flag","subject":"Patient/1"}}"#,
    r#"{"resource":{"resourceType":"Flag","subject":{"reference":"urn:uuid:gone"}}}"#,
    r#"{"resource":{"resourceType":"Appointment","participant":[{"actor":7}]}}"#,
    r#"{"request":{"method":"PUT","url":"Location/1"}}"#,
    r#"{"request":{"method":"DELETE","url":"Location?name=x"}}"#,
    r#"{"resource":{"resourceType":"Parameters"},"request":{"method":"PATCH","url":"Location/1"}}"#,
    r#"{"resource":{"resourceType":"Location"},"request":{"method":"post","url":"Location"}}"#,
    r#"{}"#,
    r#"7"#,
    r#"null"#,
];

#[test]
fn a_bad_entry_costs_only_itself() {
    let mut shown = String::new();
    for entry in BAD_ENTRIES {
        let outline = outline(between(entry).as_bytes(), options());
        let (kept, said): (Vec<_>, Vec<_>) =
            outline.lines().partition(|it| it.starts_with("recorded"));
        assert_eq!(kept.len(), 2, "{entry}: {outline}");
        shown.push_str(&format!("{entry}\n    {}\n", said.join("\n    ")));
    }
    expect![[r#"
        {"resource":{"resourceType":"Location","id":"x","id":"x"}}
            [SYS-5004] line 4, byte 140, Bundle.entry[1].resource.id: the member appears twice in one object
        {"resource":{"resourceType":"Location","name":[{"a":1,"b":2,"\u0061":3}]}}
            [SYS-5004] line 4, byte 152, Bundle.entry[1].resource.name[0].?: the member appears twice in one object
        {"resource":{"resourceType":"Location","active":tru}}
            [SYS-5002] line 4, byte 140, Bundle.entry[1].resource.active: not JSON: expected a value
        {"resource":{"resourceType":"Location" "id":"x"}}
            [SYS-5002] line 4, byte 131, Bundle.entry[1].resource: not JSON: expected a comma or } after a member
        {"resource":{"resourceType":"Location","a":[1,]}}
            [SYS-5002] line 4, byte 138, Bundle.entry[1].resource.a[1]: not JSON: expected a value
        {"resource":{"resourceType":"Location","a":01}}
            [SYS-5002] line 4, byte 136, Bundle.entry[1].resource: not JSON: expected a comma or } after a member
        {"resource":{"resourceType":"Location","a":1.}}
            [SYS-5002] line 4, byte 137, Bundle.entry[1].resource.a: not JSON: a number without digits
        {"resource":{"resourceType":"Location","a":"\q"}}
            [SYS-5002] line 4, byte 136, Bundle.entry[1].resource.a: not JSON: an unknown escape in a string
        {"resource":{"resourceType":"Location","Jane Roe":nope}}
            [SYS-5002] line 4, byte 142, Bundle.entry[1].resource.?: not JSON: expected a value
        {"resource":{"resourceType":"Location","id":"not an id"}}
            [SYS-5008] line 4, byte 136, Bundle.entry[1].resource.id: expected an id: 1 to 64 letters, digits, hyphens and dots
        {"resource":{"resourceType":"Location","id":7}}
            [SYS-5008] line 4, byte 136, Bundle.entry[1].resource.id: expected a string
        {"resource":{"resourceType":"Transport","id":"x"}}
            [SYS-5011] line 4, byte 120, Bundle.entry[1].resource.resourceType: Transport came after FHIR R4
        {"resource":{"resourceType":"Jane","id":"x"}}
            [SYS-5010] line 4, byte 120, Bundle.entry[1].resource.resourceType: resourceType is not one of FHIR R4
        {"resource":{"resourceType":7}}
            [SYS-5008] line 4, byte 120, Bundle.entry[1].resource.resourceType: expected a string
        {"resource":{"id":"x"}}
            [SYS-5009] line 4, byte 104, Bundle.entry[1].resource: no resourceType
        {"resource":[1]}
            [SYS-5008] line 4, byte 104, Bundle.entry[1].resource: expected a resource, which is an object
        {"resource":{"resourceType":"Flag","subject":"Patient/1"}}
            [SYS-5008] line 4, byte 137, Bundle.entry[1].resource.subject: expected a reference, which is an object
        {"resource":{"resourceType":"Flag","subject":{"reference":"urn:uuid:gone"}}}
            [SYS-5014] line 4, byte 92, Bundle.entry[1].resource.subject: the patient it refers to is not in the bundle
        {"resource":{"resourceType":"Appointment","participant":[{"actor":7}]}}
            [SYS-5008] line 4, byte 158, Bundle.entry[1].resource.participant[0].actor: expected a reference, which is an object
        {"request":{"method":"PUT","url":"Location/1"}}
            [SYS-5012] line 4, byte 92, Bundle.entry[1]: neither a resource nor a DELETE request
        {"request":{"method":"DELETE","url":"Location?name=x"}}
            [SYS-5013] line 4, byte 92, Bundle.entry[1].request: a conditional DELETE does not name one resource
        {"resource":{"resourceType":"Parameters"},"request":{"method":"PATCH","url":"Location/1"}}
            [SYS-5013] line 4, byte 92, Bundle.entry[1].request: a PATCH carries instructions instead of the resource
        {"resource":{"resourceType":"Location"},"request":{"method":"post","url":"Location"}}
            [SYS-5013] line 4, byte 92, Bundle.entry[1].request: request.method is not one of FHIR's
        {}
            [SYS-5012] line 4, byte 92, Bundle.entry[1]: neither a resource nor a DELETE request
        7
            [SYS-5008] line 4, byte 92, Bundle.entry[1]: expected an object
        null
            [SYS-5008] line 4, byte 92, Bundle.entry[1]: expected an object
    "#]].assert_eq(&shown);
}

#[test]
fn a_broken_structure_keeps_what_came_before_it() {
    check(
        between(r#"{"resource":{"resourceType":"Location","a":[}}"#),
        expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5002] line 4, byte 136, Bundle.entry[1].resource.a[0]: not JSON: expected a value
    "#]],
    );
    check(
        between(r#"{"resource":{"resourceType":"Location"},"a":"open}"#),
        expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5002] line 4, byte 143, Bundle.entry[1].a: not JSON: a control character in a string
    "#]],
    );
    check(
        between("{}]"),
        expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5012] line 4, byte 92, Bundle.entry[1]: neither a resource nor a DELETE request
        [SYS-5002] line 5, byte 97, Bundle: not JSON: expected a member name in quotes
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle","entry":[{"fullUrl":"a"} {"#,
        expect![[r#"
        [SYS-5012] line 1, byte 34, Bundle.entry[0]: neither a resource nor a DELETE request
        [SYS-5002] line 1, byte 50, Bundle: not JSON: expected a comma or ] after an item
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle","entry":{}}"#,
        expect![[r#"
        [SYS-5008] line 1, byte 33, Bundle: expected Bundle.entry to be an array
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle","entry":[],"entry":[]}"#,
        expect![[r#"
        [SYS-5004] line 1, byte 44, Bundle: the member appears twice in one object
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle","type":tru}"#,
        expect![[r#"
        [SYS-5002] line 1, byte 32, Bundle: not JSON: expected a value
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle","type" "x"}"#,
        expect![[r#"
        [SYS-5002] line 1, byte 32, Bundle: not JSON: expected a colon after a member name
    "#]],
    );
    check(
        r#"{"resourceType":"Bundle",}"#,
        expect![[r#"
        [SYS-5002] line 1, byte 25, Bundle: not JSON: expected a member name in quotes
    "#]],
    );
}

#[test]
fn a_truncated_file_says_where_it_ends() {
    let whole = between(r#"{"resource":{"resourceType":"Location","name":"x","a":[{"b":1}]}}"#);
    for end in [3, 20, 30, 40, 100, 140, 150, 157, 163, whole.len() - 1] {
        let outline = outline(&whole.as_bytes()[..end], options());
        let last = outline.lines().last().unwrap();
        assert!(last.starts_with("[SYS-5007]"), "{end}: {last}");
    }
    check(
        &whole[..150],
        expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5007] line 4, byte 150, Bundle.entry[1].resource.a[0]: the input ends in the middle of a value
    "#]],
    );
}

#[test]
fn what_is_not_fhir_json_is_refused_at_once() {
    check(
        "hello",
        expect![[r#"
            [SYS-5008] line 1, byte 0: expected a JSON object: a FHIR Bundle or resource
        "#]],
    );
    check(
        "[]",
        expect![[r#"
            [SYS-5008] line 1, byte 0: expected a JSON object: a FHIR Bundle or resource
        "#]],
    );
    check(
        "{\"a\":1}",
        expect![[r#"
        [SYS-5009] line 1, byte 0, Resource: no resourceType
    "#]],
    );
    check(
        "<Bundle xmlns=\"http://hl7.org/fhir\"/>",
        expect![[r#"
            [SYS-5008] line 1, byte 0: expected a JSON object: a FHIR Bundle or resource
        "#]],
    );
    check(
        b"\xff\xfe{\0}\0",
        expect![[r#"
            [SYS-5003] line 1, byte 0: not UTF-8; FHIR JSON is always UTF-8
        "#]],
    );
    check(
        b"\0{\0}",
        expect![[r#"
            [SYS-5003] line 1, byte 0: not UTF-8; FHIR JSON is always UTF-8
        "#]],
    );
    check(
        b"\x1f\x8b\x08\0\0",
        expect![[r#"
            [SYS-5008] line 1, byte 0: expected a JSON object: a FHIR Bundle or resource
        "#]],
    );
    check(
        b"{\"resourceType\":\"Location\",\"name\":\"Z\xfcrich\"}",
        expect![[r#"
        [SYS-5003] line 1, byte 36, Resource.name: not UTF-8; FHIR JSON is always UTF-8
    "#]],
    );
}

#[test]
fn a_bad_line_costs_only_itself() {
    let input = "{\"resourceType\":\"Location\",\"id\":\"a\"}\n\
                 {\"resourceType\":\"Location\",\"id\":\n\
                 {\"resourceType\":\"Location\",\"id\":\"b\"} extra\n\
                 hello\n\
                 {\"resourceType\":\"Location\",\"name\":\"open\n\
                 {\"resourceType\":\"Location\",\"id\":\"c\"]\n\
                 {\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"resourceType\":\"Location\",\"id\":\"d\"}},\n\
                 {\"resourceType\":\"Location\",\"id\":\"e\"}\r\n";
    check(
        input,
        expect![[r#"
            recorded Location/a {"resourceType":"Location","id":"a"}
            [SYS-5007] line 2, byte 69, Resource.id: the input ends in the middle of a value
            recorded Location/b {"resourceType":"Location","id":"b"}
            [SYS-5002] line 3, byte 107: not JSON: something follows the document on its line
            [SYS-5008] line 4, byte 113: expected a JSON object: a FHIR Bundle or resource
            [SYS-5007] line 5, byte 158, Resource.name: the input ends in the middle of a value
            [SYS-5002] line 6, byte 194, Resource: not JSON: expected a comma or } after a member
            recorded Location/d {"resourceType":"Location","id":"d"}
            [SYS-5007] line 7, byte 280, Bundle.entry[1]: the input ends in the middle of a value
            recorded Location/e {"resourceType":"Location","id":"e"}
        "#]],
    );
    let broken_first = "nonsense\n{\"resourceType\":\"Location\",\"id\":\"a\"}\n";
    let lines = Options { format: Format::Ndjson, ..options() };
    expect![[r#"
        [SYS-5008] line 1, byte 0: expected a JSON object: a FHIR Bundle or resource
        recorded Location/a {"resourceType":"Location","id":"a"}
    "#]]
    .assert_eq(&outline(broken_first.as_bytes(), lines));
}

#[test]
fn limits_refuse_the_entry_and_not_the_bundle() {
    let limits = Limits { entry_bytes_max: ByteSize::new(100), ..Limits::default() };
    let long = format!(
        "{{\"resource\":{{\"resourceType\":\"Location\",\"name\":\"{}\"}}}}",
        "x".repeat(100)
    );
    expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5006] line 4, byte 92, Bundle.entry[1]: larger than 100 B
        recorded Location/behind {"resourceType":"Location","id":"behind"}
    "#]]
    .assert_eq(&outline(between(&long).as_bytes(), Options { limits, ..options() }));

    let deep = format!("{{\"resource\":{{\"a\":{}{}}}}}", "[".repeat(1000), "]".repeat(1000));
    check(
        between(&deep),
        expect![[r#"
            recorded Location/before {"resourceType":"Location","id":"before"}
            [SYS-5005] line 4, byte 235, Bundle.entry[1].resource.a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]…: nested deeper than 128 levels
            recorded Location/behind {"resourceType":"Location","id":"behind"}
        "#]],
    );

    let limits = Limits { held_bytes_max: ByteSize::new(700), ..Limits::default() };
    let waits = r#"{"resource":{"resourceType":"Flag","subject":{"reference":"urn:uuid:11"}}}"#;
    let two = format!(
        "{waits},{waits},\
         {{\"fullUrl\":\"urn:uuid:11\",\"resource\":{{\"resourceType\":\"Patient\"}}}}"
    );
    expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        [SYS-5015] line 4, byte 167, Bundle.entry[2]: more than 700 B of entries wait for a patient that has not come yet
        recorded Patient/11 {"resourceType":"Flag","subject":{"reference":"urn:uuid:11"}}
        recorded Patient/11 {"resourceType":"Patient"}
        recorded Location/behind {"resourceType":"Location","id":"behind"}
    "#]].assert_eq(&outline(between(&two).as_bytes(), Options { limits, ..options() }));

    let limits = Limits { full_urls_bytes_max: ByteSize::new(120), ..Limits::default() };
    let named = |it: u8| {
        format!("{{\"fullUrl\":\"urn:uuid:{it}\",\"resource\":{{\"resourceType\":\"Location\"}}}}")
    };
    let two = format!("{},{}", named(1), named(2));
    expect![[r#"
        recorded Location/before {"resourceType":"Location","id":"before"}
        recorded Location/1 {"resourceType":"Location"}
        [SYS-5016] line 4, byte 156, Bundle.entry[2]: the full URLs of one bundle take more than 120 B to remember
        recorded Location/behind {"resourceType":"Location","id":"behind"}
    "#]].assert_eq(&outline(between(&two).as_bytes(), Options { limits, ..options() }));
}

#[test]
fn a_huge_entry_is_passed_over_without_being_stored() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = buffer.len().min(usize::try_from(self.0).unwrap());
            buffer[..count].fill(b'x');
            self.0 -= count as u64;
            Ok(count)
        }
    }
    let head = &b"{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"a\":\""[..];
    let tail = &b"\"}},{\"resource\":{\"resourceType\":\"Location\",\"id\":\"b\"}}]}"[..];
    let source = std::io::Read::chain(std::io::Read::chain(head, Endless(1 << 27)), tail);
    let (items, summary) = read_all(source, options());
    assert!(items[0].as_ref().unwrap_err().to_string().contains("larger than 16 MiB"));
    assert_eq!(items[1].as_ref().unwrap().key.as_ref().unwrap(), "Location/b");
    assert_eq!((items.len(), summary.bytes > 1 << 27), (2, true));
}

#[test]
fn a_source_that_fails_is_reported_once() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable"))
        }
    }
    let head = &b"{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\""[..];
    let (items, _) = read_all(std::io::Read::chain(head, Broken), options());
    let said: Vec<_> = items.iter().map(|it| it.as_ref().unwrap_err().to_string()).collect();
    expect!["line 1, byte 45, Bundle.entry[0]: the input could not be read"]
        .assert_eq(&said.join("\n"));
}

#[test]
fn no_problem_shows_what_the_input_held() {
    let secret = "Jane Roe 123-45-6789";
    let inputs = [
        between(&format!("{{\"resource\":{{\"resourceType\":\"{secret}\"}}}}")),
        between(&format!("{{\"resource\":{{\"{secret}\":nope}}}}")),
        between(&format!("{{\"resource\":{{\"resourceType\":\"Patient\",\"id\":\"{secret}\"}}}}")),
        between(&format!(
            "{{\"resource\":{{\"resourceType\":\"Flag\",\
             \"subject\":{{\"reference\":\"urn:x:{secret}\"}}}}}}"
        )),
        between(&format!("{{\"request\":{{\"method\":\"{secret}\"}}}}")),
        format!("{{\"resourceType\":\"Bundle\",\"{secret}\":nope}}"),
        secret.to_owned(),
    ];
    for input in inputs {
        for item in read_all(input.as_bytes(), options()).0 {
            let shown = format!(
                "{item:?} {}",
                item.as_ref().map_or_else(ToString::to_string, |_| String::new())
            );
            assert!(!shown.contains("Jane") && !shown.contains("6789"), "{shown}");
        }
    }
}
