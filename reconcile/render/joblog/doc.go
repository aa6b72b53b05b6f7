// Package joblog writes what a run says into the log of a CI job: what others printed is
// folded away, findings become annotations, and nothing that others printed is taken for
// a command.
//
//	CI              folds by        annotates by        obeys lines that
//	GitHub Actions  ::group::       ::error file=…::    start with ::, or hold ##[
//	GitLab          section_start:  nothing             nobody else can print
//
// A [Log] is for what a run says. Where it holds something that the runner would obey, it
// is fenced by ::stop-commands:: and stays as it is. A [Result] is for what others may read
// by machine: it holds no command of ours, and what the runner would obey is spelled in
// another way.
//
// The package knows neither where a log goes nor what is secret in it.
package joblog
