package lock

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"time"
)

// Holder is who holds a lock. It is the value of the parameter, which everybody may read
// who may read parameters.
type Holder struct {
	// ID is the run's own, and random.
	ID string `json:"id"`
	// Verb is what the run does, such as apply.
	Verb string `json:"verb"`
	// Owner is the ARN of the run's credentials, and Person whom a CI system says it
	// runs for.
	Owner  string `json:"owner"`
	Person string `json:"person,omitempty"`
	Host   string `json:"host"`
	PID    int    `json:"pid"`
	// Machine tells machines with the same host name apart, and containers on one of
	// them; Started tells processes apart that had the same PID one after the other. Both
	// are empty where the system does not say.
	Machine string `json:"machine,omitempty"`
	Started string `json:"started,omitempty"`
	// Run is the job of a CI run, the same however often it is tried.
	Run     string    `json:"run,omitempty"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
}

// Here is a holder that is this process.
func Here(verb, owner, person, run string) Holder {
	h := Holder{Verb: verb, Owner: owner, Person: person, PID: os.Getpid(), Machine: machine(), Started: started(os.Getpid()), Run: run}
	h.Host, _ = os.Hostname() // without one it is nobody's neighbour
	if h.Machine == "" {      // of two machines with one name, each has its user
		if u, err := user.Current(); err == nil {
			h.Machine = u.Username
		}
	}
	return h
}

// String says who, doing what, where, since when and until when.
func (h Holder) String() string {
	who := h.Owner
	if h.Person != "" {
		who = h.Person + " as " + h.Owner
	}
	where := fmt.Sprintf("process %d on %s", h.PID, h.Host)
	if h.Run != "" {
		where += ", " + h.Run
	}
	return fmt.Sprintf("%s (%s, %s) since %s; the lock expires at %s", who, h.Verb, where,
		h.Since.UTC().Format(time.RFC3339), h.Expires.UTC().Format(time.RFC3339))
}

// sameMachine reports whether the processes of two holders can see each other.
func (h Holder) sameMachine(other Holder) bool {
	return h.Host != "" && h.Host == other.Host && h.Machine == other.Machine && h.Owner == other.Owner
}

// gone reports whether the process of a holder on this machine has ended. One of this very
// process is of a run before this one.
func gone(h Holder) bool {
	if h.PID == os.Getpid() {
		return true
	}
	if !running(h.PID) {
		return true
	}
	now := started(h.PID)
	return h.Started != "" && now != "" && now != h.Started
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
