// The vault: the key that wraps each tenant's data key, and the app's four generated secrets. Access is by roles alone
// (rbac.bicep); nothing here gives anybody any.

@description('Name of the vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Bring back the deleted vault of this name instead of making one.')
param recover bool

@description('Name of the key that wraps data keys.')
param keyName string

@description('Names of the secrets that are made once.')
param secretNames string[]

@description('Their values, by name. They count only while there is no secret of that name.')
@secure()
param secretValues object

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: recover ? 'recover' : 'default'
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    enablePurgeProtection: true // without the key every stored token is lost: nobody may destroy it within 90 days
    enableRbacAuthorization: true
    enableSoftDelete: true
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' }
    publicNetworkAccess: 'Enabled' // App Service resolves references from outside; there are no keys to guess
    sku: { family: 'A', name: 'standard' }
    softDeleteRetentionInDays: 90
    tenantId: tenant().tenantId
  }
}

// Deploying again changes nothing: Resource Manager makes the first version of a key and no other, and does not update
// (Key Vault REST API, "Keys - Create If Not Exist"). There is no rotation policy: a new version protects only what is
// wrapped again with it, so rotating and wrapping again are one task of the operator (infra/README.md).
resource key 'Microsoft.KeyVault/vaults/keys@2024-11-01' = {
  parent: vault
  name: keyName
  tags: tags
  properties: {
    keyOps: ['wrapKey', 'unwrapKey']
    keySize: 3072
    kty: 'RSA'
  }
}

// Each deployment brings fresh values (newGuid). They are used once: Resource Manager looks whether the secret exists
// and then leaves it alone, also when an operator has set a newer version since.
@onlyIfNotExists()
resource secrets 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = [
  for secretName in secretNames: {
    parent: vault
    name: secretName
    tags: tags
    properties: {
      contentType: 'text/plain'
      value: secretValues[secretName]
    }
  }
]
