// Package github is what apron needs of GitHub: the comments and reviews of a pull request,
// and which one a commit came from. It speaks REST where it writes and GraphQL where it
// reads, for only GraphQL says whether a comment is the token's own, who edited it last, and
// whether a reviewer may push.
//
// The token goes to the hosts of the API and nowhere else: redirects are not followed.
package github
