// The one identity of the installation: the app reads storage and the vault with it, and it is the subject of the app
// registration's federated credential. User-assigned, because only such an identity can be that, and because it exists
// before the app does: its roles are there when the app first starts.

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
