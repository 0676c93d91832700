package store

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/roomline/roomline/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contract is what every database must do alike. Each test gets an empty,
// migrated database; another says gives another gateway on the same one.
var contract = []struct {
	name string
	test func(t *testing.T, s *Store, another func() *Store)
}{
	{"CDRsAreWrittenOnceAndComeBackWhole", testCDRs},
	{"CDRListsAreFilteredAndPaged", testCDRLists},
	{"PagesHoldWhileRowsAreAdded", testPagesHold},
	{"HostileTextIsKeptOrReplacedNeverRefused", testHostileText},
	{"EventsAreWrittenOnceAndRead", testEvents},
	{"RefusalsAreListed", testRefusals},
	{"BatchesAreAllOrNothing", testBatches},
	{"PlansComeBackInOrder", testPlan},
	{"PlansWithProblemsChangeNothing", testPlanProblems},
	{"GatewaysChangeThePlanOneAfterAnother", testPlanTogether},
	{"KeysAreKeptAsHashes", testKeys},
	{"WebhooksAreKept", testWebhooks},
	{"OutboxDeliversOnce", testOutbox},
	{"OutboxGivesUpAfterTheLastAttempt", testOutboxDead},
	{"OutboxIsSharedByGateways", testOutboxTogether},
	{"RetriedRequestIsFirstOnce", testRequests},
	{"RequestsAtOnceHaveOneFirst", testRequestsTogether},
	{"PruneKeepsWhatIsStillNeeded", testPrune},
	{"MigrationsGoUpOnce", testMigrations},
}

func TestContract(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		runContract(t, func(t *testing.T) string { return filepath.Join(t.TempDir(), "a %?#b.db") })
	})
	t.Run("postgres", func(t *testing.T) {
		server := pgtest.Start(t)
		runContract(t, func(t *testing.T) string { return server.Database(t) })
	})
}

func runContract(t *testing.T, fresh func(*testing.T) string) {
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			url := fresh(t)
			s := open(t, url)
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.test(t, s, func() *Store { return open(t, url) })
		})
	}
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
