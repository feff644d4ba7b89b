//! Which of librdkafka's errors is which of our kinds.
//!
//! Owns: the table. Does not own: what a kind means (`crate::error`).

use crate::{Error, Kind};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// The error with the name of its code. Texts of librdkafka that could repeat a setting's value are
/// left out.
pub(super) fn of(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, why, key, _) => {
            Error::new(Kind::Settings).about(key.as_str()).because(why.as_str())
        }
        KafkaError::ClientCreation(why) => Error::new(Kind::Settings).because(why.as_str()),
        KafkaError::AdminOpCreation(why)
        | KafkaError::Subscription(why)
        | KafkaError::PauseResume(why)
        | KafkaError::Seek(why) => Error::new(Kind::Invalid).because(why.as_str()),
        KafkaError::Nul(_) => Error::new(Kind::Invalid).because("a name contains a zero byte"),
        KafkaError::Canceled => Error::closed(),
        KafkaError::AdminOp(code) => of_code(*code),
        KafkaError::MessageConsumptionFatal(code) => {
            Error::new(Kind::Fenced).because(format!("{code:?}"))
        }
        other => match other.rdkafka_error_code() {
            Some(code) => of_code(code),
            None => Error::new(Kind::Other),
        },
    }
}

pub(super) fn of_code(code: Code) -> Error {
    Error::new(kind(code)).because(format!("{code:?}"))
}

fn kind(code: Code) -> Kind {
    match code {
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::WaitingForCoordinator
        | Code::WaitCache
        | Code::InProgress
        | Code::Retry
        | Code::UnknownBroker
        | Code::DestroyBroker
        | Code::BrokerDestroy
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotController
        | Code::ConcurrentTransactions
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::UnstableOffsetCommit
        | Code::ThrottlingQuotaExceeded
        | Code::RebootstrapRequired => Kind::Unreachable,
        Code::Authentication
        | Code::SSL
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Kind::Unauthenticated,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::DelegationTokenAuthorizationFailed
        | Code::TopicDeletionDisabled => Kind::Denied,
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId => Kind::UnknownTopic,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Kind::TooLarge,
        Code::TopicAlreadyExists => Kind::AlreadyExists,
        _ => kind_of_the_rest(code),
    }
}

fn kind_of_the_rest(code: Code) -> Kind {
    match code {
        Code::InvalidArgument
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::InvalidRequiredAcks
        | Code::InvalidTimestamp
        | Code::InvalidRecord
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidCommitOffsetSize
        | Code::OffsetMetadataTooLarge
        | Code::PolicyViolation
        | Code::GroupMaxSizeReached
        | Code::InconsistentGroupProtocol
        | Code::UnsupportedAssignor => Kind::Invalid,
        Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::NoOffset | Code::LogTruncation => {
            Kind::OffsetOutOfRange
        }
        Code::Fatal
        | Code::Fenced
        | Code::GaplessGuarantee
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId
        | Code::TransactionCoordinatorFenced
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::UnreleasedInstanceId => Kind::Fenced,
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress
        | Code::StaleMemberEpoch
        | Code::AssignmentLost
        | Code::PollExceeded => Kind::GroupChanged,
        Code::NonEmptyGroup | Code::GroupSubscribedToTopic => Kind::GroupInUse,
        Code::UnknownGroup | Code::GroupIdNotFound => Kind::UnknownGroup,
        Code::KafkaStorageError
        | Code::LogDirNotFound
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::ISRInsufficient => Kind::Storage,
        Code::BadMessage
        | Code::BadCompression
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::UnsupportedCompressionType => Kind::Corrupt,
        Code::PurgeQueue | Code::PurgeInflight | Code::State => Kind::Closed,
        Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedForMessageFormat
        | Code::NotImplemented
        | Code::SecurityDisabled
        | Code::DelegationTokenAuthDisabled => Kind::Unsupported,
        _ => Kind::Other,
    }
}
