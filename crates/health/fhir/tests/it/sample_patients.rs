//! The patients that come with the program.

use crate::{options, outline};
use expect_test::expect;

#[test]
fn every_sample_is_read_without_a_problem() {
    let mut shown = String::new();
    for sample in systole_fhir::samples() {
        let outline = outline(sample.bundle.as_bytes(), options());
        shown.push_str(&format!("{}\n", sample.name));
        for line in outline.lines().filter(|it| {
            it.starts_with("created") || it.starts_with("updated") || it.starts_with('[')
        }) {
            shown.push_str(&format!("    {}\n", line.trim_end_matches(" {")));
        }
    }
    expect![[r#"
        allergy-reaction
            updated Patient/demo-mrn-0003
            created Patient/demo-mrn-0003
            created Patient/demo-mrn-0003
            created Patient/demo-mrn-0003
            created Patient/demo-mrn-0003
        diabetes-follow-up
            updated Patient/demo-mrn-0001
            created Organization/6233668e-c6f1-5e1c-ae32-862b2ec7dd5c
            created Patient/demo-mrn-0001
            created Patient/demo-mrn-0001
            created Patient/demo-mrn-0001
            created Patient/demo-mrn-0001
            created Patient/demo-mrn-0001
            created Patient/demo-mrn-0001
        hospital-stay
            created Patient/demo-mrn-0005
            created Patient/demo-mrn-0005
            updated Patient/demo-mrn-0005
            created Patient/demo-mrn-0005
            created Patient/demo-mrn-0005
            created Patient/demo-mrn-0005
            created Patient/demo-mrn-0005
        hypertension-visit
            updated Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
            created Patient/demo-mrn-0002
        imaging-prior-authorization
            updated Patient/demo-mrn-0004
            created Organization/0dbd3846-44ed-58c6-9634-1a0986a20d53
            created Organization/dbd9a738-0a22-588f-a025-700bc71a7c40
            created Patient/demo-mrn-0004
            created Patient/demo-mrn-0004
            created Patient/demo-mrn-0004
            created Patient/demo-mrn-0004
            created Patient/demo-mrn-0004
    "#]]
    .assert_eq(&shown);
}
