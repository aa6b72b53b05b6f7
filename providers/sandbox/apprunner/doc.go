// Package apprunner is the sandbox's AWS App Runner: an API that answers as AWS does, down
// to codes and texts, and services that really run. An operation pulls the image, resolves
// the secrets as the instance role, starts instances of the new revision beside the old,
// checks their health as configured, routes, drains, and rolls back if that fails.
//
// The nouns, from the outside in:
//
//	Service   the emulator: all services of one account, and what they refer to
//	app       one service: its record on disk and the fleet that serves it
//	version   a configuration and the digest of the image it was deployed with
//	fleet     the instances of one version: kept at strength, scaled, drained
//	member    one instance, from its first health check to SIGTERM
//
// Beside services there are scaling and observability configurations and VPC connectors,
// which are revised and never change; connections to providers of code, which wait for
// their handshake for ever; and, each with a life of its own, VPC ingress connections and
// custom domains.
//
// An operation moves a service's status like this:
//
//	operation         during                 done      failed
//	CREATE_SERVICE    OPERATION_IN_PROGRESS  RUNNING   CREATE_FAILED   (FAILED)
//	UPDATE_SERVICE    OPERATION_IN_PROGRESS  RUNNING   RUNNING, as before (ROLLBACK_SUCCEEDED)
//	START_DEPLOYMENT  OPERATION_IN_PROGRESS  RUNNING   RUNNING, as before (ROLLBACK_SUCCEEDED)
//	PAUSE_SERVICE     OPERATION_IN_PROGRESS  PAUSED    RUNNING         (FAILED)
//	RESUME_SERVICE    OPERATION_IN_PROGRESS  RUNNING   PAUSED          (FAILED)
//	DELETE_SERVICE    OPERATION_IN_PROGRESS  DELETED   DELETE_FAILED   (FAILED)
//
// An update of a CREATE_FAILED service is a rebuild and ends like a create. While an
// update runs, Describe shows what was asked for; after a rollback, what serves.
//
// What the package does not know: how containers run (package runner), what an image,
// a role, a secret, a DNS zone or a log stream is. Those come in through five small
// interfaces. The value of a secret is handed to an instance and kept nowhere else.
package apprunner
