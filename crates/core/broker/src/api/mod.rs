//! The Kafka APIs: one file each, one line each in [`TABLE`].
//!
//! Owns: what a handler is, and which APIs are served. Does not own: the way from a frame to a
//! handler and back ([`dispatch`]), what an API does (its file).
//! Reading order: [`Handler`] -> [`Call`] -> [`TABLE`] -> any API. How to add one:
//! `docs/how-to-add/kafka-api.md`.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_share_group_offsets;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_share_group_offsets;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_share_group_offsets;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod dispatch;
mod elect_leaders;
mod end_txn;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod gate;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod logger;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod place;
mod produce;
mod renew_delegation_token;
mod resource;
mod rule;
mod sasl_authenticate;
mod sasl_handshake;
mod share_ack;
mod share_acknowledge;
mod share_fetch;
mod share_group_describe;
mod share_group_heartbeat;
mod share_reader;
mod streams_group_describe;
mod streams_group_heartbeat;
mod sync_group;
mod txn_offset_commit;
mod write_txn_markers;

pub(crate) use crate::access::Need;
pub(crate) use dispatch::{Api, Begun, Done, Outcome, Refused, Running, start};
pub(crate) use share_ack::take_back;

use crate::config;
use crate::ctx::Ctx;
use crate::quota::Rest;
use crate::server::{Peer, Share};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use systole_catalogue::Durable;
use systole_guard::Principal;
use systole_wire::Str;
use systole_wire::message::Request;
use systole_wire::{ErrorCode, Rejected};
use tokio::sync::oneshot;

/// Every API that this node serves, in the order of their keys.
pub(crate) static TABLE: &[Api] = &[
    Api::of::<produce::Produce>(),
    Api::of::<fetch::Fetch>(),
    Api::of::<list_offsets::ListOffsets>(),
    Api::of::<metadata::Metadata>(),
    Api::of::<offset_commit::OffsetCommit>(),
    Api::of::<offset_fetch::OffsetFetch>(),
    Api::of::<find_coordinator::FindCoordinator>(),
    Api::of::<join_group::JoinGroup>(),
    Api::of::<heartbeat::Heartbeat>(),
    Api::of::<leave_group::LeaveGroup>(),
    Api::of::<sync_group::SyncGroup>(),
    Api::of::<describe_groups::DescribeGroups>(),
    Api::of::<list_groups::ListGroups>(),
    Api::of::<sasl_handshake::SaslHandshake>(),
    Api::of::<api_versions::ApiVersions>(),
    Api::of::<create_topics::CreateTopics>(),
    Api::of::<delete_topics::DeleteTopics>(),
    Api::of::<delete_records::DeleteRecords>(),
    Api::of::<init_producer_id::InitProducerId>(),
    Api::of::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    Api::of::<add_partitions_to_txn::AddPartitionsToTxn>(),
    Api::of::<add_offsets_to_txn::AddOffsetsToTxn>(),
    Api::of::<end_txn::EndTxn>(),
    Api::of::<write_txn_markers::WriteTxnMarkers>(),
    Api::of::<txn_offset_commit::TxnOffsetCommit>(),
    Api::of::<describe_acls::DescribeAcls>(),
    Api::of::<create_acls::CreateAcls>(),
    Api::of::<delete_acls::DeleteAcls>(),
    Api::of::<describe_configs::DescribeConfigs>(),
    Api::of::<alter_configs::AlterConfigs>(),
    Api::of::<describe_log_dirs::DescribeLogDirs>(),
    Api::of::<sasl_authenticate::SaslAuthenticate>(),
    Api::of::<create_partitions::CreatePartitions>(),
    Api::of::<create_delegation_token::CreateDelegationToken>(),
    Api::of::<renew_delegation_token::RenewDelegationToken>(),
    Api::of::<expire_delegation_token::ExpireDelegationToken>(),
    Api::of::<describe_delegation_token::DescribeDelegationToken>(),
    Api::of::<delete_groups::DeleteGroups>(),
    Api::of::<elect_leaders::ElectLeaders>(),
    Api::of::<incremental_alter_configs::IncrementalAlterConfigs>(),
    Api::of::<alter_partition_reassignments::AlterPartitionReassignments>(),
    Api::of::<list_partition_reassignments::ListPartitionReassignments>(),
    Api::of::<offset_delete::OffsetDelete>(),
    Api::of::<describe_client_quotas::DescribeClientQuotas>(),
    Api::of::<alter_client_quotas::AlterClientQuotas>(),
    Api::of::<describe_user_scram_credentials::DescribeUserScramCredentials>(),
    Api::of::<alter_user_scram_credentials::AlterUserScramCredentials>(),
    Api::of::<describe_cluster::DescribeCluster>(),
    Api::of::<describe_producers::DescribeProducers>(),
    Api::of::<describe_transactions::DescribeTransactions>(),
    Api::of::<list_transactions::ListTransactions>(),
    Api::of::<consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    Api::of::<consumer_group_describe::ConsumerGroupDescribe>(),
    Api::of::<list_config_resources::ListConfigResources>(),
    Api::of::<describe_topic_partitions::DescribeTopicPartitions>(),
    Api::of::<share_group_heartbeat::ShareGroupHeartbeat>(),
    Api::of::<share_group_describe::ShareGroupDescribe>(),
    Api::of::<share_fetch::ShareFetch>(),
    Api::of::<share_acknowledge::ShareAcknowledge>(),
    Api::of::<streams_group_heartbeat::StreamsGroupHeartbeat>(),
    Api::of::<streams_group_describe::StreamsGroupDescribe>(),
    Api::of::<describe_share_group_offsets::DescribeShareGroupOffsets>(),
    Api::of::<alter_share_group_offsets::AlterShareGroupOffsets>(),
    Api::of::<delete_share_group_offsets::DeleteShareGroupOffsets>(),
];

/// One Kafka API.
///
/// `handle` itself runs when the request's turn comes on its connection; the future that it returns
/// runs beside those of earlier and later requests. So whatever must happen in the order of arrival
/// (an append, a change of state) belongs before the future, and whatever waits (for the disk, for
/// other members, for new records) belongs into it. `handle` itself must not block, and the future
/// may be dropped at any await: the client may leave.
///
/// Strings and bytes of the request are slices of its frame: copy what outlives the answer.
pub(crate) trait Handler: Sized + 'static {
    type Request: Request;
    /// Served versions, never more than the codec knows.
    const VERSIONS: RangeInclusive<i16>;
    /// Everything that this API asks [`Call::authorize`], so that no API forgets to. Empty: anyone
    /// may, and the header says why.
    const NEEDS: &'static [Need];

    fn handle(
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = Reply<Self>> + Send + 'static;
}

/// The response message of a handler.
pub(crate) type ResponseOf<H> = <<H as Handler>::Request as Request>::Response;

/// What goes back to the client.
pub(crate) enum Reply<H: Handler> {
    Send(ResponseOf<H>),
    /// The client expects no answer (Produce with `acks=0`).
    Nothing,
    /// There is no answer in which the failure could be told (Produce with `acks=0` that failed).
    /// The text says why, for the log.
    Close(&'static str),
}

/// Who asks, in which version, and everything that the node offers to answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) ctx: Arc<Ctx>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) version: i16,
    /// As the client names itself. It is not trusted, and it is no metric label.
    pub(crate) client_id: Option<Str>,
    /// Who asks, as proved when the request came.
    pub(crate) principal: Arc<Principal>,
    pub(crate) needs: &'static [Need],
    /// Without its length.
    pub(crate) frame_bytes: usize,
    pub(crate) turn: Arc<Turn>,
}

/// What all copies of a call share.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) rest: Rest,
    /// The request's place in the budget of bytes in flight.
    _share: Option<Share>,
}

impl Call {
    /// Code and message of a refusal, counted in the metrics.
    pub(crate) fn error(&self, rejected: &Rejected) -> (i16, Option<Str>) {
        (self.code(rejected.code), Some(rejected.message.as_str().into()))
    }
    /// Code and message of a change once it is on disk; `None` changes nothing.
    async fn finish(&self, begun: Result<Option<Durable>, Rejected>) -> (i16, Option<Str>) {
        let done = match begun {
            Ok(Some(durable)) => durable.await,
            Ok(None) => Ok(()),
            Err(rejected) => Err(rejected),
        };
        done.map_or_else(|it| self.error(&it), |()| (ErrorCode::None.number(), None))
    }
    /// What a group answers, which may take as long as a rebalance; a node that stops does not
    /// wait for it.
    async fn group_answer<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, ErrorCode> {
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| ErrorCode::CoordinatorNotAvailable),
            () = self.ctx.stopping.cancelled() => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
    /// The address that this client is told to connect to.
    pub(crate) fn advertised(&self) -> (Str, i32) {
        let configured = self.peer.listener.advertised.as_deref().and_then(config::split_address);
        let local = self.peer.local;
        let (host, port) = configured
            .map_or_else(|| (local.ip().to_string(), local.port()), |(it, port)| (it.into(), port));
        (host.into(), port.into())
    }
    /// There are no delegation tokens. As in Kafka, whoever did not prove who they are may not
    /// even ask.
    fn no_tokens(&self) -> i16 {
        let is_known = *self.principal != Principal::anonymous();
        self.code(if is_known {
            ErrorCode::DelegationTokenAuthDisabled
        } else {
            ErrorCode::DelegationTokenRequestNotAllowed
        })
    }
    /// The number of `code`, counted in the metrics unless it says that all is well.
    pub(crate) fn code(&self, code: ErrorCode) -> i16 {
        self.ctx.metrics.count_answer(code);
        code.number()
    }
}
