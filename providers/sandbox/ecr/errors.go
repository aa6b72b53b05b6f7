package ecr

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apron-deploy/apron/providers/sandbox/wire"
)

// refuse makes a client error. Texts are ECR's own where they are known.
func refuse(code, format string, args ...any) *wire.Error { return wire.Errorf(code, format, args...) }

// constraint is ECR's way to turn down the value of a parameter.
func constraint(parameter, format string, args ...any) *wire.Error {
	return refuse("InvalidParameterException",
		"Invalid parameter at '%s' failed to satisfy constraint: '%s'", parameter, fmt.Sprintf(format, args...))
}

// failed hides what went wrong on our side from the protocol, but not from the reader.
func failed(err error) error {
	var known *wire.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &wire.Error{Code: "ServerException", Message: err.Error(), Status: http.StatusInternalServerError}
}

func (s *Service) noRepository(registryID, name string) *wire.Error {
	return refuse("RepositoryNotFoundException",
		"The repository with name '%s' does not exist in the registry with id '%s'", name, s.orSelf(registryID))
}

func (s *Service) noImage(r *repository, id imageID) *wire.Error {
	return refuse("ImageNotFoundException",
		"The image with imageId %s does not exist within the repository with name '%s' in the registry with id '%s'",
		id, r.Name, s.account)
}

func (s *Service) noLayers(r *repository, digests []string) *wire.Error {
	return refuse("LayersNotFoundException",
		"Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
		strings.Join(digests, ", "), r.Name, s.account)
}

func (s *Service) noMembers(r *repository, digests []string) *wire.Error {
	return refuse("ReferencedImagesNotFoundException",
		"Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
		strings.Join(digests, ", "), r.Name, s.account)
}

func (s *Service) noUpload(repository, id string) *wire.Error {
	return refuse("UploadNotFoundException",
		"The upload with id '%s' could not be found in the repository with name '%s' in the registry with id '%s'",
		id, repository, s.account)
}

func tagFrozen(r *repository, tag string) *wire.Error {
	return refuse("ImageTagAlreadyExistsException",
		"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.",
		tag, r.Name)
}

func (s *Service) orSelf(registryID string) string {
	if registryID == "" {
		return s.account
	}
	return registryID
}
