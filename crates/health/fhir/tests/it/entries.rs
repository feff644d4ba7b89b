//! What each kind of entry becomes.

use crate::{options, outline, read_all};
use expect_test::{Expect, expect};
use systole_fhir::{Format, Options};

#[expect(clippy::needless_pass_by_value, reason = "expect![] is written in place")]
fn check(input: &str, expected: Expect) {
    expected.assert_eq(&outline(input.as_bytes(), options()));
}

#[test]
fn every_header_of_an_event_is_as_documented() {
    let input = r#"{"resourceType":"Bundle","type":"transaction","entry":[{
        "fullUrl":"urn:uuid:11",
        "resource":{"resourceType":"Observation","id":"o1","meta":{"lastUpdated":"2026-01-02T03:04:05Z"},
            "valueQuantity":{"value":7.20},"subject":{"reference":"Patient/p1"}},
        "request":{"method":"POST","url":"Observation"}}]}"#;
    let (items, _) = read_all(input.as_bytes(), options());
    let event = items.into_iter().next().unwrap().unwrap();
    let headers: String = event
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", std::str::from_utf8(value).unwrap()))
        .collect();
    expect![[r#"
        clinical.observation
        ce_specversion: 1.0
        ce_id: 140dc4d2-6005-8a14-825b-0afe06504af4
        ce_source: urn:systole:test
        ce_type: health.systole.clinical.observation.created.v1
        ce_subject: Patient/p1
        ce_time: 2026-01-02T03:04:05Z
        ce_correlationid: 9c35be7c-c25e-8354-9aa7-58373b8d8aa4
        ce_recordedtime: 2027-01-15T08:00:00.000Z
        ce_dataclassification: phi
        ce_partitionkey: Patient/p1
        content-type: application/fhir+json
    "#]]
    .assert_eq(&format!("{}\n{headers}", event.topic));
    assert_eq!(
        format!("{event:?}"),
        "ChangeEvent { topic: \"clinical.observation\", key_bytes: Some(10), headers: 11, \
         value_bytes: Some(167), .. }"
    );
}

#[test]
fn the_request_method_says_what_happened() {
    check(
        r#"{"resourceType":"Bundle","type":"batch","entry":[
            {"resource":{"resourceType":"Location","id":"a"},"request":{"method":"POST","url":"Location"}},
            {"resource":{"resourceType":"Location","id":"b"},"request":{"method":"PUT","url":"Location/b"}},
            {"request":{"method":"DELETE","url":"Location/c"}},
            {"fullUrl":"http://h.example/Location/d","request":{"method":"DELETE","url":"Location?name=x"}},
            {"request":{"method":"GET","url":"Location/e"}},
            {"resource":{"resourceType":"Location","id":"f"}},
            {"response":{"status":"204"}},
            {"resource":{"resourceType":"Location","id":"g"},"response":{"status":"200"}}]}"#,
        expect![[r#"
            created Location/a {"resourceType":"Location","id":"a"}
            updated Location/b {"resourceType":"Location","id":"b"}
            deleted Location/c -
            deleted Location/d -
            recorded Location/f {"resourceType":"Location","id":"f"}
            recorded Location/g {"resourceType":"Location","id":"g"}
        "#]],
    );
}

#[test]
fn the_patient_is_found_wherever_the_type_has_it() {
    check(
        r#"{"resourceType":"Bundle","type":"collection","entry":[
            {"resource":{"resourceType":"Claim","patient":{"reference":"Patient/p"}}},
            {"resource":{"resourceType":"Coverage","beneficiary":{"reference":"Patient/p"}}},
            {"resource":{"resourceType":"Task","for":{"reference":"Patient/p"}}},
            {"resource":{"subject":[{"reference":"Patient/p"}],"resourceType":"Account"}},
            {"resource":{"resourceType":"Appointment","participant":[
                {"actor":{"reference":"Practitioner/d"}},{"actor":{"reference":"Patient/p"}}]}},
            {"resource":{"resourceType":"Observation","id":"o","subject":{"reference":"Group/g"}}},
            {"resource":{"resourceType":"Observation","id":"o","subject":{"display":"someone"}}},
            {"resource":{"resourceType":"Practitioner","id":"d"}},
            {"resource":{"resourceType":"Organization"}}]}"#,
        expect![[r#"
            recorded Patient/p {"resourceType":"Claim","patient":{"reference":"Patient/p"}}
            recorded Patient/p {"resourceType":"Coverage","beneficiary":{"reference":"Patient/p"}}
            recorded Patient/p {"resourceType":"Task","for":{"reference":"Patient/p"}}
            recorded Patient/p {"subject":[{"reference":"Patient/p"}],"resourceType":"Account"}
            recorded Patient/p {"resourceType":"Appointment","participant":[
                            {"actor":{"reference":"Practitioner/d"}},{"actor":{"reference":"Patient/p"}}]}
            recorded Observation/o {"resourceType":"Observation","id":"o","subject":{"reference":"Group/g"}}
            recorded Observation/o {"resourceType":"Observation","id":"o","subject":{"display":"someone"}}
            recorded Practitioner/d {"resourceType":"Practitioner","id":"d"}
            recorded - {"resourceType":"Organization"}
        "#]],
    );
}

#[test]
fn every_form_of_reference_leads_to_the_same_key() {
    check(
        r##"{"resourceType":"Bundle","type":"transaction","entry":[
            {"fullUrl":"urn:uuid:11","resource":{"resourceType":"Patient","id":"p",
                "identifier":[{"system":"http://mrn","value":"7"}]},"request":{"method":"POST","url":"Patient"}},
            {"resource":{"resourceType":"Flag","subject":{"reference":"urn:uuid:11"}}},
            {"resource":{"resourceType":"Flag","subject":{"reference":"Patient/p"}}},
            {"resource":{"resourceType":"Flag","subject":{"reference":"http://h.example/r4/Patient/p/_history/4"}}},
            {"resource":{"resourceType":"Flag","subject":{"reference":"Patient?identifier=http://mrn|7"}}},
            {"resource":{"resourceType":"Flag","subject":{"type":"Patient","identifier":{"system":"http://mrn","value":"7"}}}},
            {"resource":{"resourceType":"Claim","patient":{"identifier":{"system":"http://mrn","value":"8"}}}},
            {"resource":{"resourceType":"Flag","id":"f","contained":[{"resourceType":"Patient","id":"x"}],
                "subject":{"reference":"#x"}}}]}"##,
        expect![[r##"
            created Patient/p {"resourceType":"Patient","id":"p",
                            "identifier":[{"system":"http://mrn","value":"7"}]}
            recorded Patient/p {"resourceType":"Flag","subject":{"reference":"urn:uuid:11"}}
            recorded Patient/p {"resourceType":"Flag","subject":{"reference":"Patient/p"}}
            recorded Patient/p {"resourceType":"Flag","subject":{"reference":"http://h.example/r4/Patient/p/_history/4"}}
            recorded Patient/p {"resourceType":"Flag","subject":{"reference":"Patient?identifier=http://mrn|7"}}
            recorded Patient/p {"resourceType":"Flag","subject":{"type":"Patient","identifier":{"system":"http://mrn","value":"7"}}}
            recorded Patient?identifier=http://mrn|8 {"resourceType":"Claim","patient":{"identifier":{"system":"http://mrn","value":"8"}}}
            recorded Flag/f {"resourceType":"Flag","id":"f","contained":[{"resourceType":"Patient","id":"x"}],
                            "subject":{"reference":"#x"}}
        "##]],
    );
}

#[test]
fn an_entry_before_its_patient_waits_for_it_and_keeps_its_order() {
    check(
        r#"{"resourceType":"Bundle","type":"transaction","entry":[
            {"resource":{"resourceType":"Flag","id":"f1","subject":{"reference":"urn:uuid:11"}}},
            {"resource":{"resourceType":"Flag","id":"f2","subject":{"reference":"urn:uuid:22"}}},
            {"resource":{"resourceType":"Flag","id":"f3","subject":{"reference":"urn:uuid:11"}}},
            {"fullUrl":"urn:uuid:22","resource":{"resourceType":"Group","id":"g"}},
            {"fullUrl":"urn:uuid:11","resource":{"resourceType":"Patient","id":"p"}},
            {"resource":{"resourceType":"Flag","id":"f4","subject":{"reference":"urn:uuid:11"}}}]}"#,
        expect![[r#"
            recorded Flag/f2 {"resourceType":"Flag","id":"f2","subject":{"reference":"urn:uuid:22"}}
            recorded Group/g {"resourceType":"Group","id":"g"}
            recorded Patient/p {"resourceType":"Flag","id":"f1","subject":{"reference":"urn:uuid:11"}}
            recorded Patient/p {"resourceType":"Flag","id":"f3","subject":{"reference":"urn:uuid:11"}}
            recorded Patient/p {"resourceType":"Patient","id":"p"}
            recorded Patient/p {"resourceType":"Flag","id":"f4","subject":{"reference":"urn:uuid:11"}}
        "#]],
    );
}

#[test]
fn without_an_id_of_its_own_a_resource_takes_that_of_its_full_url() {
    check(
        r#"{"resourceType":"Bundle","type":"transaction","entry":[
            {"fullUrl":"urn:uuid:9d2c","resource":{"resourceType":"Patient"}},
            {"resource":{"resourceType":"Flag","subject":{"reference":"urn:uuid:9d2c"}}},
            {"fullUrl":"http://h.example/Location/l","resource":{"resourceType":"Location"}},
            {"resource":{"resourceType":"Location"},"request":{"method":"PUT","url":"Location/m"}}]}"#,
        expect![[r#"
            recorded Patient/9d2c {"resourceType":"Patient"}
            recorded Patient/9d2c {"resourceType":"Flag","subject":{"reference":"urn:uuid:9d2c"}}
            recorded Location/l {"resourceType":"Location"}
            updated Location/m {"resourceType":"Location"}
        "#]],
    );
}

#[test]
fn bundles_resources_and_lines_are_told_apart() {
    check(
        "{\"resourceType\":\"Location\",\"id\":\"a\"}",
        expect![[r#"
        recorded Location/a {"resourceType":"Location","id":"a"}
    "#]],
    );
    check(
        "{\"resourceType\":\"Location\",\"id\":\"a\"}\n\n{\"id\":\"b\",\"resourceType\":\"Location\"}\n\
         {\"entry\":[{\"resource\":{\"resourceType\":\"Location\",\"id\":\"c\"}}],\"resourceType\":\"Bundle\"}\n",
        expect![[r#"
            recorded Location/a {"resourceType":"Location","id":"a"}
            recorded Location/b {"id":"b","resourceType":"Location"}
            recorded Location/c {"resourceType":"Location","id":"c"}
        "#]],
    );
    check(
        "{\n\"resourceType\":\"Location\",\"id\":\"a\"}\n\
         {\n\"resourceType\":\"Location\",\n\"id\":\"b\"}",
        expect![[r#"
            recorded Location/a {
            "resourceType":"Location","id":"a"}
            recorded Location/b {
            "resourceType":"Location",
            "id":"b"}
        "#]],
    );
    check(
        "\u{feff}{\"resourceType\":\"List\",\"id\":\"l\",\"entry\":[{\"item\":{}}]}",
        expect![[r#"
            recorded List/l {"resourceType":"List","id":"l","entry":[{"item":{}}]}
        "#]],
    );
    check(" \n ", expect![[""]]);
}

#[test]
fn a_value_is_the_resource_byte_for_byte() {
    let resource = "{ \"resourceType\" : \"Observation\",\r\n \
                    \"valueDecimal\":0.10e-01, \"x\":\"\\u00e9\u{e9}\\/\" }";
    let input = format!("{{\"resourceType\":\"Bundle\",\"entry\":[{{\"resource\":{resource}}}]}}");
    for (input, format) in [(input.as_str(), Format::Auto), (resource, Format::Json)] {
        let (items, _) = read_all(input.as_bytes(), Options { format, ..options() });
        let event = items.into_iter().next().unwrap().unwrap();
        assert_eq!(event.value.unwrap(), resource.as_bytes());
    }
}

#[test]
fn equal_entries_get_equal_ids_and_others_do_not() {
    let ids = |input: &str, options: Options| -> Vec<_> {
        let (items, _) = read_all(input.as_bytes(), options);
        let id = |it: systole_fhir::ChangeEvent| it.header("ce_id").unwrap().clone();
        items.into_iter().map(|it| id(it.unwrap())).collect()
    };
    let one = r#"{"resourceType":"Bundle","entry":[
        {"resource":{"resourceType":"Location","id":"a"}},
        {"resource":{"resourceType":"Location","id":"b"}},
        {"resource":{"resourceType":"Location","id":"b"},"request":{"method":"PUT","url":"Location/b"}}]}"#;
    let other = Options { source: "urn:elsewhere".to_owned(), ..options() };
    let first = ids(one, options());
    assert_eq!(first, ids(one, other));
    assert!(first[0] != first[1] && first[1] != first[2]);
}

#[test]
fn one_bundle_is_one_correlation_and_the_next_another() {
    let input = "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"resourceType\":\"Location\"}},\
                 {\"resource\":{\"resourceType\":\"Location\"}}]}\n{\"resourceType\":\"Location\"}\n";
    let (items, summary) = read_all(input.as_bytes(), options());
    let ids: Vec<_> = items
        .into_iter()
        .map(|it| it.unwrap().header("ce_correlationid").unwrap().clone())
        .collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2]);
    expect![[r#"
        3 events, 0 problems, 2 documents, 146 B
                3 Location
    "#]]
    .assert_eq(&summary.to_string());
}
