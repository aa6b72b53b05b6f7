// Package awsapi is how apron talks to AWS: configuration, credentials and endpoint,
// retries and rate limits, the guard that lets only reads through while planning, and
// the translation of AWS errors into what failed, why, and what to do next.
package awsapi
