//! The resource types of FHIR R4 as data: where each names its patient, and how it is classified.
//!
//! Owns: the table. Does not own: what a reference means ([`crate::reference`]).
//! To change where a type's patient is looked for, change its row and nothing else.
//!
//! # Source  FHIR R4 (4.0.1): the value set `resource-types`, the patient compartment, and the
//! elements' definitions where the compartment also counts authors and other bystanders.

use Classification::{Internal, Phi, Pii};

/// Value of the header `ce_dataclassification`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Classification {
    /// About a patient, or able to carry patients' data.
    Phi,
    /// About a person who is not a patient.
    Pii,
    /// Definitions, organisations, products.
    Internal,
}

impl Classification {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phi => "phi",
            Self::Pii => "pii",
            Self::Internal => "internal",
        }
    }
}

/// One resource type of FHIR R4.
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// As in `resourceType`.
    pub name: &'static str,
    pub classification: Classification,
    /// Elements that refer to the patient, the first that does is taken. At most two steps.
    pub patient_paths: &'static [&'static str],
}

/// `None`: not a resource type of R4.
pub fn find(name: &str) -> Option<&'static ResourceType> {
    let at = R4.binary_search_by(|it| it.name.cmp(name)).ok()?;
    R4.get(at)
}

/// The name itself if it is a resource type of FHIR R4B or R5 that R4 does not have.
pub fn find_newer(name: &str) -> Option<&'static str> {
    NEWER.iter().find(|it| **it == name).copied()
}

/// Every row, sorted by name.
pub fn all() -> &'static [ResourceType] {
    R4
}

/// Whether the first step of any path of any row is `element`.
pub(crate) fn may_name_a_patient(element: &str) -> bool {
    FIRST_STEPS.contains(&element)
}

const FIRST_STEPS: &[&str] = &[
    "actor",
    "agent",
    "beneficiary",
    "candidate",
    "deliverTo",
    "entity",
    "for",
    "individual",
    "link",
    "participant",
    "patient",
    "subject",
    "target",
];

const fn row(
    name: &'static str,
    classification: Classification,
    patient_paths: &'static [&'static str],
) -> ResourceType {
    ResourceType { name, classification, patient_paths }
}

#[rustfmt::skip]
const R4: &[ResourceType] = &[
    row("Account", Phi, &["subject"]),
    row("ActivityDefinition", Internal, &[]),
    row("AdverseEvent", Phi, &["subject"]),
    row("AllergyIntolerance", Phi, &["patient"]),
    row("Appointment", Phi, &["participant.actor"]),
    row("AppointmentResponse", Phi, &["actor"]),
    row("AuditEvent", Phi, &["entity.what", "agent.who"]),
    row("Basic", Phi, &["subject"]),
    row("Binary", Phi, &[]),
    row("BiologicallyDerivedProduct", Phi, &[]),
    row("BodyStructure", Phi, &["patient"]),
    row("Bundle", Phi, &[]),
    row("CapabilityStatement", Internal, &[]),
    row("CarePlan", Phi, &["subject"]),
    row("CareTeam", Phi, &["subject"]),
    row("CatalogEntry", Internal, &[]),
    row("ChargeItem", Phi, &["subject"]),
    row("ChargeItemDefinition", Internal, &[]),
    row("Claim", Phi, &["patient"]),
    row("ClaimResponse", Phi, &["patient"]),
    row("ClinicalImpression", Phi, &["subject"]),
    row("CodeSystem", Internal, &[]),
    row("Communication", Phi, &["subject"]),
    row("CommunicationRequest", Phi, &["subject"]),
    row("CompartmentDefinition", Internal, &[]),
    row("Composition", Phi, &["subject"]),
    row("ConceptMap", Internal, &[]),
    row("Condition", Phi, &["subject"]),
    row("Consent", Phi, &["patient"]),
    row("Contract", Phi, &["subject"]),
    row("Coverage", Phi, &["beneficiary"]),
    row("CoverageEligibilityRequest", Phi, &["patient"]),
    row("CoverageEligibilityResponse", Phi, &["patient"]),
    row("DetectedIssue", Phi, &["patient"]),
    row("Device", Phi, &["patient"]),
    row("DeviceDefinition", Internal, &[]),
    row("DeviceMetric", Phi, &[]),
    row("DeviceRequest", Phi, &["subject"]),
    row("DeviceUseStatement", Phi, &["subject"]),
    row("DiagnosticReport", Phi, &["subject"]),
    row("DocumentManifest", Phi, &["subject"]),
    row("DocumentReference", Phi, &["subject"]),
    row("EffectEvidenceSynthesis", Internal, &[]),
    row("Encounter", Phi, &["subject"]),
    row("Endpoint", Internal, &[]),
    row("EnrollmentRequest", Phi, &["candidate"]),
    row("EnrollmentResponse", Phi, &[]),
    row("EpisodeOfCare", Phi, &["patient"]),
    row("EventDefinition", Internal, &[]),
    row("Evidence", Internal, &[]),
    row("EvidenceVariable", Internal, &[]),
    row("ExampleScenario", Internal, &[]),
    row("ExplanationOfBenefit", Phi, &["patient"]),
    row("FamilyMemberHistory", Phi, &["patient"]),
    row("Flag", Phi, &["subject"]),
    row("Goal", Phi, &["subject"]),
    row("GraphDefinition", Internal, &[]),
    row("Group", Phi, &[]),
    row("GuidanceResponse", Phi, &["subject"]),
    row("HealthcareService", Internal, &[]),
    row("ImagingStudy", Phi, &["subject"]),
    row("Immunization", Phi, &["patient"]),
    row("ImmunizationEvaluation", Phi, &["patient"]),
    row("ImmunizationRecommendation", Phi, &["patient"]),
    row("ImplementationGuide", Internal, &[]),
    row("InsurancePlan", Internal, &[]),
    row("Invoice", Phi, &["subject"]),
    row("Library", Internal, &[]),
    row("Linkage", Phi, &[]),
    row("List", Phi, &["subject"]),
    row("Location", Internal, &[]),
    row("Measure", Internal, &[]),
    row("MeasureReport", Phi, &["subject"]),
    row("Media", Phi, &["subject"]),
    row("Medication", Internal, &[]),
    row("MedicationAdministration", Phi, &["subject"]),
    row("MedicationDispense", Phi, &["subject"]),
    row("MedicationKnowledge", Internal, &[]),
    row("MedicationRequest", Phi, &["subject"]),
    row("MedicationStatement", Phi, &["subject"]),
    row("MedicinalProduct", Internal, &[]),
    row("MedicinalProductAuthorization", Internal, &[]),
    row("MedicinalProductContraindication", Internal, &[]),
    row("MedicinalProductIndication", Internal, &[]),
    row("MedicinalProductIngredient", Internal, &[]),
    row("MedicinalProductInteraction", Internal, &[]),
    row("MedicinalProductManufactured", Internal, &[]),
    row("MedicinalProductPackaged", Internal, &[]),
    row("MedicinalProductPharmaceutical", Internal, &[]),
    row("MedicinalProductUndesirableEffect", Internal, &[]),
    row("MessageDefinition", Internal, &[]),
    row("MessageHeader", Phi, &[]),
    row("MolecularSequence", Phi, &["patient"]),
    row("NamingSystem", Internal, &[]),
    row("NutritionOrder", Phi, &["patient"]),
    row("Observation", Phi, &["subject"]),
    row("ObservationDefinition", Internal, &[]),
    row("OperationDefinition", Internal, &[]),
    row("OperationOutcome", Phi, &[]),
    row("Organization", Internal, &[]),
    row("OrganizationAffiliation", Internal, &[]),
    row("Parameters", Phi, &[]),
    row("Patient", Phi, &[]),
    row("PaymentNotice", Phi, &[]),
    row("PaymentReconciliation", Phi, &[]),
    row("Person", Phi, &["link.target"]),
    row("PlanDefinition", Internal, &[]),
    row("Practitioner", Pii, &[]),
    row("PractitionerRole", Pii, &[]),
    row("Procedure", Phi, &["subject"]),
    row("Provenance", Phi, &["target"]),
    row("Questionnaire", Internal, &[]),
    row("QuestionnaireResponse", Phi, &["subject"]),
    row("RelatedPerson", Phi, &["patient"]),
    row("RequestGroup", Phi, &["subject"]),
    row("ResearchDefinition", Internal, &[]),
    row("ResearchElementDefinition", Internal, &[]),
    row("ResearchStudy", Internal, &[]),
    row("ResearchSubject", Phi, &["individual"]),
    row("RiskAssessment", Phi, &["subject"]),
    row("RiskEvidenceSynthesis", Internal, &[]),
    row("Schedule", Pii, &["actor"]),
    row("SearchParameter", Internal, &[]),
    row("ServiceRequest", Phi, &["subject"]),
    row("Slot", Internal, &[]),
    row("Specimen", Phi, &["subject"]),
    row("SpecimenDefinition", Internal, &[]),
    row("StructureDefinition", Internal, &[]),
    row("StructureMap", Internal, &[]),
    row("Subscription", Internal, &[]),
    row("Substance", Internal, &[]),
    row("SubstanceNucleicAcid", Internal, &[]),
    row("SubstancePolymer", Internal, &[]),
    row("SubstanceProtein", Internal, &[]),
    row("SubstanceReferenceInformation", Internal, &[]),
    row("SubstanceSourceMaterial", Internal, &[]),
    row("SubstanceSpecification", Internal, &[]),
    row("SupplyDelivery", Phi, &["patient"]),
    row("SupplyRequest", Phi, &["deliverTo"]),
    row("Task", Phi, &["for"]),
    row("TerminologyCapabilities", Internal, &[]),
    row("TestReport", Internal, &[]),
    row("TestScript", Internal, &[]),
    row("ValueSet", Internal, &[]),
    row("VerificationResult", Pii, &["target"]),
    row("VisionPrescription", Phi, &["patient"]),
];

#[rustfmt::skip]
const NEWER: &[&str] = &[
    "ActorDefinition", "AdministrableProductDefinition", "ArtifactAssessment",
    "BiologicallyDerivedProductDispense", "Citation", "ClinicalUseDefinition",
    "ConditionDefinition", "DeviceAssociation", "DeviceDispense",
    "DeviceUsage", "EncounterHistory", "EvidenceReport",
    "FormularyItem", "GenomicStudy", "ImagingSelection",
    "Ingredient", "InventoryItem", "InventoryReport",
    "ManufacturedItemDefinition", "MedicinalProductDefinition", "NutritionIntake",
    "NutritionProduct", "PackagedProductDefinition", "Permission",
    "RegulatedAuthorization", "RequestOrchestration", "Requirements",
    "SubscriptionStatus", "SubscriptionTopic", "SubstanceDefinition",
    "TestPlan", "Transport",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sorted_so_that_every_row_is_found() {
        for row in R4 {
            assert_eq!(find(row.name), Some(row));
        }
        assert_eq!(R4.len(), 146, "FHIR R4 has 148 types, two of them abstract");
        assert!(NEWER.iter().all(|it| find(it).is_none()));
    }

    #[test]
    fn first_steps_are_those_of_the_paths() {
        let used: BTreeSet<_> = R4
            .iter()
            .flat_map(|it| it.patient_paths)
            .map(|it| it.split('.').next().unwrap())
            .collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), FIRST_STEPS);
        assert!(R4.iter().flat_map(|it| it.patient_paths).all(|it| it.split('.').count() <= 2));
    }

    #[test]
    fn what_names_a_patient_is_phi_unless_it_is_about_staff() {
        for it in R4.iter().filter(|it| !it.patient_paths.is_empty()) {
            let about_staff = ["Schedule", "VerificationResult"].contains(&it.name);
            let expected = if about_staff { Pii } else { Phi };
            assert_eq!(it.classification, expected, "{}", it.name);
        }
    }
}
