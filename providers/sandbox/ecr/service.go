package ecr

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/apron-deploy/apron/providers/sandbox/ecr/blob"
	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// Options say where the registry lives and whose it is.
type Options struct {
	// Dir holds all state. One process at a time.
	Dir string
	// Account and Region are those in ARNs, URIs and registry ids.
	Account, Region string
	// Now is the time for stamps, expiry and lifecycle rules. Nil is the real time.
	Now func() time.Time
	// Endpoint is where clients reach the registry: "http://127.0.0.1:4567". It is the
	// proxyEndpoint of authorization tokens; repository URIs stay AWS's.
	Endpoint func() string
	// Pushed, if set, hears of each tag that an image was put under, after it was: what
	// ECR tells EventBridge. It must not block.
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
	Pushed func(repository, tag string)
	// StickyRange makes the Range header of a chunked upload stay at the end of the
	// first chunk, as ECR's does at times although it keeps what follows.
	// https://github.com/aws/containers-roadmap/issues/2831
	StickyRange bool
}

// Service is an ECR of one account and Region. It serves /v2/ as an HTTP handler.
type Service struct {
	account, region string
	now             func() time.Time
	endpoint        func() string
	stickyRange     bool
	pushed          func(repository, tag string)

	disk  disk
	blobs *blob.Store

	mu           sync.Mutex // guards what follows, and the files of disk
	registry     *registry
	repositories map[string]*repository
	uploads      map[string]*upload
}

// New opens the state in o.Dir, or starts an empty one. It reclaims blobs that nothing
// refers to.
func New(o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pushed == nil {
		o.Pushed = func(string, string) {}
	}
	if o.Endpoint == nil {
		o.Endpoint = func() string { return "https://" + host(o.Account, o.Region) }
	}
	blobs, err := blob.Open(filepath.Join(o.Dir, "blobs"))
	if err != nil {
		return nil, fmt.Errorf("ecr: %w", err)
	}
	s := &Service{
		account: o.Account, region: o.Region, endpoint: o.Endpoint, stickyRange: o.StickyRange, pushed: o.Pushed,
		now:   func() time.Time { return o.Now().UTC().Truncate(time.Millisecond) },
		disk:  disk{o.Dir},
		blobs: blobs, uploads: map[string]*upload{},
	}
	if s.registry, s.repositories, err = s.disk.load(); err != nil {
		return nil, fmt.Errorf("ecr: %w", err)
	}
	if s.registry == nil {
		s.registry = &registry{Key: make([]byte, 32), Settings: map[string]string{}}
		rand.Read(s.registry.Key)
		if err := s.disk.saveRegistry(s.registry); err != nil {
			return nil, fmt.Errorf("ecr: %w", err)
		}
	}
	if err := s.reclaim(); err != nil {
		return nil, fmt.Errorf("ecr: %w", err)
	}
	return s, nil
}

// linkGrace is how long a layer without a manifest stays: a push uploads layers first.
const linkGrace = 24 * time.Hour

// reclaim drops stale layer links, then the blobs nothing refers to any more.
func (s *Service) reclaim() error {
	wanted := map[string]bool{}
	for _, r := range s.repositories {
		named := map[string]bool{}
		for d, i := range r.Images {
			wanted[d] = true
			for _, b := range i.Blobs {
				named[b] = true
			}
		}
		stale := false
		for d, l := range r.Layers {
			if !named[d] && s.now().Sub(l.LinkedAt) > linkGrace {
				delete(r.Layers, d)
				stale = true
				continue
			}
			wanted[d] = true
		}
		if stale {
			if err := s.disk.save(r); err != nil {
				return err
			}
		}
	}
	_, err := s.blobs.Sweep(func(digest string) bool { return wanted[digest] })
	return err
}

// API is ECR's control plane.
func (s *Service) API() wire.API {
	return wire.API{
		Target:      "AmazonEC2ContainerRegistry_V20150921",
		Version:     "1.1",
		SigningName: "ecr",
		MessageKey:  "message",
		Operations: map[string]wire.Operation{
			"CreateRepository":              wire.Handle(s.createRepository),
			"DescribeRepositories":          wire.Handle(s.describeRepositories),
			"DeleteRepository":              wire.Handle(s.deleteRepository),
			"PutImageTagMutability":         wire.Handle(s.putImageTagMutability),
			"PutImageScanningConfiguration": wire.Handle(s.putImageScanningConfiguration),

			"PutLifecyclePolicy":    wire.Handle(s.putLifecyclePolicy),
			"GetLifecyclePolicy":    wire.Handle(s.getLifecyclePolicy),
			"DeleteLifecyclePolicy": wire.Handle(s.deleteLifecyclePolicy),

			"SetRepositoryPolicy":    wire.Handle(s.setRepositoryPolicy),
			"GetRepositoryPolicy":    wire.Handle(s.getRepositoryPolicy),
			"DeleteRepositoryPolicy": wire.Handle(s.deleteRepositoryPolicy),

			"TagResource":         wire.Handle(s.tagResource),
			"UntagResource":       wire.Handle(s.untagResource),
			"ListTagsForResource": wire.Handle(s.listTagsForResource),

			"DescribeImages":   wire.Handle(s.describeImages),
			"ListImages":       wire.Handle(s.listImages),
			"BatchGetImage":    wire.Handle(s.batchGetImage),
			"BatchDeleteImage": wire.Handle(s.batchDeleteImage),
			"PutImage":         wire.Handle(s.putImage),

			"BatchCheckLayerAvailability": wire.Handle(s.batchCheckLayerAvailability),
			"InitiateLayerUpload":         wire.Handle(s.initiateLayerUpload),
			"UploadLayerPart":             wire.Handle(s.uploadLayerPart),
			"CompleteLayerUpload":         wire.Handle(s.completeLayerUpload),
			"GetDownloadUrlForLayer":      wire.Handle(s.getDownloadURLForLayer),

			"StartImageScan":            wire.Handle(s.startImageScan),
			"DescribeImageScanFindings": wire.Handle(s.describeImageScanFindings),

			"GetAuthorizationToken":            wire.Handle(s.getAuthorizationToken),
			"DescribeRegistry":                 wire.Handle(s.describeRegistry),
			"GetRegistryScanningConfiguration": wire.Handle(s.getRegistryScanningConfiguration),
			"PutAccountSetting":                wire.Handle(s.putAccountSetting),
			"GetAccountSetting":                wire.Handle(s.getAccountSetting),
		},
	}
}

func host(account, region string) string {
	return account + ".dkr.ecr." + region + ".amazonaws.com"
}

func (s *Service) uri(repository string) string { return host(s.account, s.region) + "/" + repository }

func (s *Service) arn(repository string) string {
	return "arn:aws:ecr:" + s.region + ":" + s.account + ":repository/" + repository
}

// sign authenticates a text that comes back from a client. Each purpose has its own
// prefix, so that no signature serves two.
func (s *Service) sign(text string) []byte {
	m := hmac.New(sha256.New, s.registry.Key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
