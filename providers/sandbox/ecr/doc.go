// Package ecr emulates Amazon ECR: its API and the registry that docker, crane and
// App Runner talk to, over one state on disk.
//
// A repository links blobs that a store shared by all repositories keeps once; a link
// is what makes a blob visible, so that a push finds only its own repository's layers,
// as on AWS. Every way in (PutImage, PUT of a manifest) ends in the same rules:
// layers and members first, immutable tags stay.
//
//	API       X-Amz-Target: …       ┐                   ┌ repositories/*.json
//	                                ├─ Service ─ state ─┤
//	registry  /v2/<name>/…          ┘                   └ blobs/sha256/…
//
// Where ECR strays from the OCI distribution specification, so does this package:
// Basic authentication only, 201 to a PATCH, mounts that mostly fall back to an
// upload, tag listings in text/plain. Scans find nothing, since nothing is scanned.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
package ecr
