// The scenario of interop/README.md, driven by franz-go.
//
// Usage: scenario BOOTSTRAP PREFIX. Prints one JSON object per case; exit code 0 only if all held.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	records    = 2000
	partitions = 6
	deadline   = 60 * time.Second
)

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

type row struct {
	Case       string `json:"case"`
	Sent       int    `json:"sent"`
	Missing    int    `json:"missing"`
	Changed    int    `json:"changed"`
	Disordered int    `json:"disordered"`
	Assigned   int    `json:"assigned"`
	Rebalanced bool   `json:"rebalanced"`
	Committed  int64  `json:"committed"`
	Ok         bool   `json:"ok"`
}

func valueOf(n int) string { return fmt.Sprintf("%08d:", n) + strings.Repeat("observation ", n%17) }

func produce(ctx context.Context, bootstrap, topic string, codec kgo.CompressionCodec) (int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codec))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var sent atomic.Int64
	for n := range records {
		client.Produce(ctx, &kgo.Record{
			Topic: topic, Key: []byte(strconv.Itoa(n % 50)), Value: []byte(valueOf(n)),
			Headers: []kgo.RecordHeader{{Key: "number", Value: []byte(strconv.Itoa(n))}},
		}, func(_ *kgo.Record, err error) {
			if err == nil {
				sent.Add(1)
			}
		})
	}
	err = client.Flush(ctx)
	return int(sent.Load()), err
}

// member is one consumer of the group.
type member struct {
	client *kgo.Client
	mu     sync.Mutex
	owned  map[int32]bool
	given  int
}

func join(bootstrap, topic, group string, balancer kgo.GroupBalancer) (*member, error) {
	m := &member{owned: map[int32]bool{}}
	lose := func(_ context.Context, c *kgo.Client, lost map[string][]int32) {
		_ = c.CommitUncommittedOffsets(context.Background())
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range lost[topic] {
			delete(m.owned, p)
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.Balancers(balancer), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.given += len(got[topic])
			for _, p := range got[topic] {
				m.owned[p] = true
			}
		}),
		kgo.OnPartitionsRevoked(lose), kgo.OnPartitionsLost(lose),
	)
	m.client = client
	return m, err
}

func (m *member) holds() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.owned)
}

func (m *member) poll(seen map[[2]int64]*kgo.Record, most int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fetches := m.client.PollRecords(ctx, most)
	defer m.client.AllowRebalance()
	var failure error
	fetches.EachError(func(_ string, _ int32, err error) {
		if err != context.DeadlineExceeded && ctx.Err() == nil {
			failure = err
		}
	})
	fetches.EachRecord(func(r *kgo.Record) { seen[[2]int64{int64(r.Partition), r.Offset}] = r })
	return failure
}

// consume lets a first member read a third, then a second one joins and both read the rest.
func consume(bootstrap, topic, group string, balancer kgo.GroupBalancer) (map[[2]int64]*kgo.Record, int, bool, error) {
	seen := map[[2]int64]*kgo.Record{}
	first, err := join(bootstrap, topic, group, balancer)
	if err != nil {
		return nil, 0, false, err
	}
	members := []*member{first}
	for until := time.Now().Add(deadline); time.Now().Before(until); {
		for _, m := range members {
			if err := m.poll(seen, 200); err != nil {
				return nil, 0, false, err
			}
		}
		if len(members) == 1 && len(seen) >= records/3 {
			second, err := join(bootstrap, topic, group, balancer)
			if err != nil {
				return nil, 0, false, err
			}
			members = append(members, second)
		}
		if len(members) == 2 && len(seen) >= records && members[1].holds() > 0 &&
			members[0].holds()+members[1].holds() == partitions {
			break
		}
	}
	assigned := 0
	for _, m := range members {
		assigned += m.holds()
		if err := m.client.CommitUncommittedOffsets(context.Background()); err != nil {
			return nil, 0, false, err
		}
	}
	rebalanced := len(members) == 2 && members[1].given > 0
	for _, m := range members {
		m.client.CloseAllowingRebalance()
	}
	return seen, assigned, rebalanced, nil
}

func check(seen map[[2]int64]*kgo.Record) (missing, changed, disordered int) {
	numbers := map[int]bool{}
	for p := range int64(partitions) {
		last := map[string]int{}
		for offset := range int64(records) {
			r := seen[[2]int64{p, offset}]
			if r == nil {
				continue
			}
			n := -1
			for _, h := range r.Headers {
				if h.Key == "number" {
					n, _ = strconv.Atoi(string(h.Value))
				}
			}
			if string(r.Value) != valueOf(n) || string(r.Key) != strconv.Itoa(n%50) {
				changed++
			}
			if before, ok := last[string(r.Key)]; ok && before > n {
				disordered++
			}
			last[string(r.Key)] = n
			numbers[n] = true
		}
	}
	return records - len(numbers), changed, disordered
}

func run(bootstrap, prefix string) (bool, error) {
	ctx := context.Background()
	base, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return false, err
	}
	defer base.Close()
	admin := kadm.NewClient(base)
	good := true
	for i, c := range codecs {
		name, balancer := "cooperative-sticky", kgo.GroupBalancer(kgo.CooperativeStickyBalancer())
		if i%2 == 0 {
			name, balancer = "range", kgo.RangeBalancer()
		}
		topic := prefix + "-" + c.name
		if _, err := admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
			return false, err
		}
		r := row{Case: c.name + ", " + name}
		if r.Sent, err = produce(ctx, bootstrap, topic, c.codec); err != nil {
			return false, err
		}
		seen, assigned, rebalanced, err := consume(bootstrap, topic, topic, balancer)
		if err != nil {
			return false, err
		}
		r.Assigned, r.Rebalanced = assigned, rebalanced
		r.Missing, r.Changed, r.Disordered = check(seen)
		offsets, err := admin.FetchOffsets(ctx, topic)
		if err != nil {
			return false, err
		}
		offsets.Each(func(o kadm.OffsetResponse) { r.Committed += o.At })
		r.Ok = r.Sent == records && r.Missing == 0 && r.Changed == 0 && r.Disordered == 0 &&
			r.Assigned == partitions && r.Rebalanced && r.Committed == records
		good = good && r.Ok
		line, _ := json.Marshal(r)
		fmt.Println(string(line))
	}
	return good, nil
}

func main() {
	good, err := run(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}
