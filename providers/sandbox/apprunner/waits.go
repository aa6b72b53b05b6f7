package apprunner

import "time"

// Waits are the times that AWS takes, or gives. The clock's speed divides all but the
// last two, which an application feels and which therefore stay real.
type Waits struct {
	Accept    time.Duration // an operation is PENDING
	Provision time.Duration // before the instances of a revision start
	Route     time.Duration // from healthy to routed
	Settle    time.Duration // a pause, resume or delete, besides its work
	Rollback  time.Duration // an operation is ROLLBACK_IN_PROGRESS
	Rise      time.Duration // between the checks of a starting instance, if its interval is longer
	Listen    time.Duration // patience with an instance that accepts no connection; three real seconds at least, if it is as long
	Answer    time.Duration // patience with an instance that answers, but not well
	Restart   time.Duration // before an exited instance is started again; doubles
	ScaleIn   time.Duration // until an instance that is not needed is stopped
	Forget    time.Duration // a deleted service can still be described

	Certificate time.Duration // until a custom domain has its validation records
	Validate    time.Duration // between looks for those in DNS
	Bind        time.Duration // from a certificate to an active domain, until a domain is gone, and for a VPC ingress connection

	Request time.Duration // the longest a request may take
	Grace   time.Duration // from SIGTERM to SIGKILL
}

// attempts is how often an instance that exits is started before a deployment fails.
const attempts = 3

// Rehearsal are the waits of a sandbox: a deployment adds about two seconds to what
// the application needs, and a failure is reported as soon as it is certain.
//
//	wait       AWS               rehearsal  why
//	Accept     a second          100 ms     clients must cope with PENDING
//	Provision  about 100 s       1 s
//	Route      10 to 70 s        500 ms
//	Settle     1 to 3 min        1 s
//	Rollback   1 to 2 min        1 s
//	Rise       the interval      500 ms     20 s × 2 would be all of a first run
//	Listen     5 min, then ~13   5 min      slow starters that live on AWS live here
//	Answer     5 min, then ~13   15 s       a 500 rarely heals; thresholds still count
//	Restart    about 1 min       1 s        three exits make a failure, on AWS in ~3 min
//	ScaleIn    minutes           1 min
//	Forget     about an hour     1 h
//	Certificate a minute         500 ms
//	Validate   minutes           1 s        whoever writes the records waits for it
//	Bind       minutes           1 s
//	Request    120 s             120 s
//	Grace      30 s              30 s
//
// Starting instances fail when their patience has run out and as many checks in a row
// failed as the threshold asks, at the configured interval.
// https://docs.aws.amazon.com/apprunner/latest/dg/develop.html
func Rehearsal() Waits {
	return Waits{
		Accept:    100 * time.Millisecond,
		Provision: time.Second,
		Route:     500 * time.Millisecond,
		Settle:    time.Second,
		Rollback:  time.Second,
		Rise:      500 * time.Millisecond,
		Listen:    5 * time.Minute,
		Answer:    15 * time.Second,
		Restart:   time.Second,
		ScaleIn:   time.Minute,
		Forget:    time.Hour,

		Certificate: 500 * time.Millisecond,
		Validate:    time.Second,
		Bind:        time.Second,

		Request: 120 * time.Second,
		Grace:   30 * time.Second,
	}
}

// AWS are the waits of the real service, for rehearsing a client's patience.
func AWS() Waits {
	w := Rehearsal()
	w.Accept = time.Second
	w.Provision = 100 * time.Second
	w.Route = 30 * time.Second
	w.Settle = 2 * time.Minute
	w.Rollback = 90 * time.Second
	w.Rise = 20 * time.Second
	w.Listen = 18 * time.Minute
	w.Answer = 18 * time.Minute
	w.Restart = time.Minute
	w.ScaleIn = 5 * time.Minute
	w.Certificate = 30 * time.Second
	w.Validate = time.Minute
	w.Bind = 3 * time.Minute
	return w
}
