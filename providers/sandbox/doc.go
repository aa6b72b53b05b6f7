// Package sandbox is AWS in one process on this machine: the APIs that apron uses, in
// AWS's own wire protocols, and containers that really run.
//
// A [Server] assembles the services of the packages below this one and answers for all
// of them on one loopback port:
//
//	what comes in                         who answers
//	Host <service>.localhost              the service that App Runner runs
//	/v2/…                                 the image registry
//	/_apron/health, stop, reset           the sandbox itself
//	anything else, signed                 the API that the request names
//
// [Start] runs one server per directory in the background and finds it again, [Serve]
// is that background process, and [Status], [Stop], [Reset] and [Env] are for those who
// use it. What services keep survives a restart, and so do port and credentials.
//
// The sandbox shares no code with the providers that talk to it: it is the second
// opinion on the wire format.
package sandbox
