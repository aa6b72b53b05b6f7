package ecr

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// target is how most calls name their repository.
type target struct {
	RegistryID     string `json:"registryId"`
	RepositoryName string `json:"repositoryName"`
}

type scanning struct {
	ScanOnPush bool `json:"scanOnPush"`
}

// repositoryOut is the API's Repository.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Repository.html
type repositoryOut struct {
	RepositoryArn      string      `json:"repositoryArn"`
	RegistryID         string      `json:"registryId"`
	RepositoryName     string      `json:"repositoryName"`
	RepositoryURI      string      `json:"repositoryUri"`
	CreatedAt          wire.Time   `json:"createdAt"`
	ImageTagMutability string      `json:"imageTagMutability"`
	Exclusions         []exclusion `json:"imageTagMutabilityExclusionFilters,omitempty"`
	Scanning           scanning    `json:"imageScanningConfiguration"`
	Encryption         encryption  `json:"encryptionConfiguration"`
}

func (s *Service) describe(r *repository) repositoryOut {
	return repositoryOut{
		RepositoryArn: s.arn(r.Name), RegistryID: s.account, RepositoryName: r.Name, RepositoryURI: s.uri(r.Name),
		CreatedAt: wire.At(r.CreatedAt), ImageTagMutability: r.Mutability, Exclusions: r.Exclusions,
		Scanning: scanning{r.ScanOnPush}, Encryption: r.Encryption,
	}
}

type oneRepository struct {
	Repository repositoryOut `json:"repository"`
}

type createRepositoryIn struct {
	target
	Tags       []tag       `json:"tags"`
	Mutability string      `json:"imageTagMutability"`
	Exclusions []exclusion `json:"imageTagMutabilityExclusionFilters"`
	Scanning   scanning    `json:"imageScanningConfiguration"`
	Encryption *encryption `json:"encryptionConfiguration"`
}

func (s *Service) createRepository(_ context.Context, in createRepositoryIn) (*oneRepository, error) {
	if err := checkName(in.RepositoryName); err != nil {
		return nil, err
	}
	if in.Mutability == "" {
		in.Mutability = mutable
	}
	if err := checkMutability(in.Mutability, in.Exclusions); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if len(in.Tags) > maxTags {
		return nil, refuse("TooManyTagsException", "A repository has at most %d tags", maxTags)
	}
	r := newRepository(in.RepositoryName, s.now())
	r.Mutability, r.Exclusions, r.ScanOnPush = in.Mutability, in.Exclusions, in.Scanning.ScanOnPush
	for _, t := range in.Tags {
		r.Tags[t.Key] = t.Value
	}
	if e := in.Encryption; e != nil {
		if err := s.checkEncryption(e); err != nil {
			return nil, err
		}
		r.Encryption = *e
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orSelf(in.RegistryID) != s.account {
		return nil, constraint("registryId", "the registry belongs to another account")
	}
	if s.repositories[r.Name] != nil {
		return nil, refuse("RepositoryAlreadyExistsException",
			"The repository with name '%s' already exists in the registry with id '%s'", r.Name, s.account)
	}
	if len(s.repositories) >= maxRepositories {
		return nil, refuse("LimitExceededException",
			"The registry with id '%s' already has the maximum allowed number of repositories which is '%d'", s.account, maxRepositories)
	}
	if err := s.disk.save(r); err != nil {
		return nil, failed(err)
	}
	s.repositories[r.Name] = r
	return &oneRepository{s.describe(r)}, nil
}

// checkEncryption also fills in the key that AWS uses when none is named.
func (s *Service) checkEncryption(e *encryption) error {
	if err := checkEnum("encryptionType", e.EncryptionType, "KMS", "AES256", "KMS_DSSE"); err != nil {
		return err
	}
	switch {
	case e.EncryptionType == "AES256" && e.KmsKey != "":
		return constraint("encryptionConfiguration", "kmsKey cannot be specified with encryptionType AES256")
	case e.EncryptionType != "AES256" && e.KmsKey == "":
		e.KmsKey = "arn:aws:kms:" + s.region + ":" + s.account + ":alias/aws/ecr"
	}
	return nil
}

type describeRepositoriesIn struct {
	RegistryID string   `json:"registryId"`
	Names      []string `json:"repositoryNames"`
	NextToken  string   `json:"nextToken"`
	MaxResults *int     `json:"maxResults"`
}

type describeRepositoriesOut struct {
	Repositories []repositoryOut `json:"repositories"`
	NextToken    string          `json:"nextToken,omitempty"`
}

func (s *Service) describeRepositories(_ context.Context, in describeRepositoriesIn) (*describeRepositoriesOut, error) {
	if in.Names != nil {
		if err := checkCount("repositoryNames", len(in.Names), 100); err != nil {
			return nil, err
		}
		if in.MaxResults != nil || in.NextToken != "" {
			return nil, constraint("maxResults", "cannot be specified together with repositoryNames")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names, next := in.Names, ""
	if names == nil {
		if s.orSelf(in.RegistryID) != s.account {
			return nil, constraint("registryId", "the registry belongs to another account")
		}
		all := slices.Sorted(maps.Keys(s.repositories))
		var err error
		if names, next, err = page("repositories", all, strings.Clone, in.MaxResults, in.NextToken); err != nil {
			return nil, err
		}
	}
	out := &describeRepositoriesOut{Repositories: []repositoryOut{}, NextToken: next}
	for _, name := range names {
		r, err := s.find(in.RegistryID, name)
		if err != nil {
			return nil, err
		}
		out.Repositories = append(out.Repositories, s.describe(r))
	}
	return out, nil
}

type deleteRepositoryIn struct {
	target
	Force bool `json:"force"`
}

func (s *Service) deleteRepository(_ context.Context, in deleteRepositoryIn) (*oneRepository, error) {
	return view(s, in.target, func(r *repository) (*oneRepository, error) {
		if len(r.Images) > 0 && !in.Force {
			return nil, refuse("RepositoryNotEmptyException",
				"The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images",
				r.Name, s.account)
		}
		if err := s.disk.remove(r.Name); err != nil {
			return nil, err
		}
		delete(s.repositories, r.Name)
		for id, u := range s.uploads {
			if u.repository == r.Name {
				delete(s.uploads, id) // its file goes at the next start
			}
		}
		return &oneRepository{s.describe(r)}, nil
	})
}

type mutability struct {
	target
	Mutability string      `json:"imageTagMutability"`
	Exclusions []exclusion `json:"imageTagMutabilityExclusionFilters,omitempty"`
}

func (s *Service) putImageTagMutability(_ context.Context, in mutability) (*mutability, error) {
	if err := checkMutability(in.Mutability, in.Exclusions); err != nil {
		return nil, err
	}
	in.RegistryID = s.orSelf(in.RegistryID)
	return change(s, in.target, func(r *repository) (*mutability, error) {
		r.Mutability, r.Exclusions = in.Mutability, in.Exclusions
		return &in, nil
	})
}

type scanningConfiguration struct {
	target
	Scanning scanning `json:"imageScanningConfiguration"`
}

func (s *Service) putImageScanningConfiguration(_ context.Context, in scanningConfiguration) (*scanningConfiguration, error) {
	in.RegistryID = s.orSelf(in.RegistryID)
	return change(s, in.target, func(r *repository) (*scanningConfiguration, error) {
		r.ScanOnPush = in.Scanning.ScanOnPush
		return &in, nil
	})
}
