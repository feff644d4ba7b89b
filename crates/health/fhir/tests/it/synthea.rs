//! The reference set of synthetic patients, where it is at hand.

use crate::{options, read_all};
use std::collections::BTreeMap;
use std::path::PathBuf;
use systole_fhir::Summary;

/// `$SYSTOLE_TEST_DATA`, else `../shared/data` beside the workspace.
fn synthea() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/data");
    let data = std::env::var_os("SYSTOLE_TEST_DATA").map_or_else(|| beside.into(), PathBuf::from);
    let dir = data.join("fhir-r4-synthea");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: {} is not there; SYSTOLE_TEST_DATA names its parent", dir.display());
    None
}

#[test]
fn every_resource_of_the_synthea_set_becomes_one_event_of_its_patient() {
    let Some(dir) = synthea() else { return };
    let mut counted = BTreeMap::<String, u64>::new();
    let mut total = Summary::default();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let bundle: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let entries = bundle["entry"].as_array().unwrap();
        let (items, summary) = read_all(&bytes[..], options());
        assert_eq!(items.len(), entries.len());
        let patient = format!("Patient/{}", entries[0]["resource"]["id"].as_str().unwrap());
        for (item, entry) in items.into_iter().zip(entries) {
            let event = item.unwrap();
            let resource = &entry["resource"];
            *counted.entry(resource["resourceType"].as_str().unwrap().to_owned()).or_default() += 1;
            let value: serde_json::Value = serde_json::from_slice(&event.value.unwrap()).unwrap();
            assert_eq!(&value, resource);
            let is_staff = ["Organization", "Practitioner"].contains(&event.resource_type);
            assert_eq!(event.key.unwrap() == patient, !is_staff);
        }
        total.add(&summary);
    }
    let events = total.events.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(counted, events);
    assert_eq!((total.events_total(), total.problems_total()), (4837, 0));
}
