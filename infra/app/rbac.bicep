// Who may do what, each on one named resource. The app's identity gets what its code calls; the person or pipeline that
// deploys gets what the hooks and `python -m shared.ops` need. Nobody gets a role on the group or on the subscription.

@description('The host storage account.')
param hostStorageName string

@description('The data storage account.')
param dataStorageName string

@description('The vault.')
param vaultName string

@description('The key in it that wraps data keys.')
param keyName string

@description('The secrets in it that the app reads.')
param secretNames string[]

@description('The Application Insights component.')
param componentName string

@description('Object id of the app\'s identity. Not part of any name, so that what-if can tell names beforehand.')
param appPrincipalId string

@description('Object id of whoever deploys; empty: nobody gets the roles.')
param deployerPrincipalId string

@description('What the deployer is.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param deployerPrincipalType string

// Names as the portal shows them. Ids: Microsoft, "Azure built-in roles".
var roles = {
  'Key Vault Crypto Officer': '14b46e9e-c2b7-41b4-b07b-48a6ebf60603'
  'Key Vault Crypto Service Encryption User': 'e147488a-f6f5-4113-8e2d-b22465e65bf6'
  'Key Vault Secrets Officer': 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

// Names of assignments are made of the first, so that they are known before the identity is.
var seeds = { app: 'app', deployer: deployerPrincipalId }
var principals = {
  app: { id: appPrincipalId, type: 'ServicePrincipal' }
  deployer: { id: deployerPrincipalId, type: deployerPrincipalType }
}
var deployers = empty(deployerPrincipalId) ? [] : ['deployer']

// The host keeps its package, leases and function keys in blobs, and its diagnostic events in a table. It has no queue
// of its own: that would be for blob triggers.
var onHostStorage = concat(
  [
    { who: 'app', role: 'Storage Blob Data Owner' }
    { who: 'app', role: 'Storage Table Data Contributor' }
  ],
  map(deployers, deployer => { who: deployer, role: 'Storage Blob Data Contributor' })
)

// Queue Data Contributor, not Message Processor: the host creates a poison queue that is missing.
var dataRoles = [
  'Storage Blob Data Contributor'
  'Storage Queue Data Contributor'
  'Storage Table Data Contributor'
]
var onDataStorage = flatten(map(concat(['app'], deployers), who => map(dataRoles, role => { who: who, role: role })))

// The deployer makes the first tenant, which wraps its data key, and rotates key and secrets.
var onVault = flatten(map(deployers, deployer => [
  { who: deployer, role: 'Key Vault Crypto Officer' }
  { who: deployer, role: 'Key Vault Secrets Officer' }
]))

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: hostStorageName }

resource dataStorage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: dataStorageName }

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName

  resource key 'keys' existing = { name: keyName }
}

resource secrets 'Microsoft.KeyVault/vaults/secrets@2024-11-01' existing = [
  for secretName in secretNames: { parent: vault, name: secretName }
]

resource component 'Microsoft.Insights/components@2020-02-02' existing = { name: componentName }

resource hostStorageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in onHostStorage: {
    scope: hostStorage
    name: guid(hostStorage.id, seeds[item.who], item.role)
    properties: {
      description: item.role
      principalId: principals[item.who].id
      principalType: principals[item.who].type
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
    }
  }
]

resource dataStorageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in onDataStorage: {
    scope: dataStorage
    name: guid(dataStorage.id, seeds[item.who], item.role)
    properties: {
      description: item.role
      principalId: principals[item.who].id
      principalType: principals[item.who].type
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
    }
  }
]

resource vaultRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for item in onVault: {
    scope: vault
    name: guid(vault.id, seeds[item.who], item.role)
    properties: {
      description: item.role
      principalId: principals[item.who].id
      principalType: principals[item.who].type
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[item.role])
    }
  }
]

// One key: read its public part, wrap, unwrap. Crypto User could also switch the key off and copy it out as a backup.
var keyRole = 'Key Vault Crypto Service Encryption User'

resource keyRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault::key
  name: guid(vault::key.id, seeds.app, keyRole)
  properties: {
    description: keyRole
    principalId: principals.app.id
    principalType: principals.app.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[keyRole])
  }
}

var secretRole = 'Key Vault Secrets User'

resource secretRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (secretName, index) in secretNames: {
    scope: secrets[index]
    name: guid(secrets[index].id, seeds.app, secretRole)
    properties: {
      description: secretRole
      principalId: principals.app.id
      principalType: principals.app.type
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[secretRole])
    }
  }
]

var telemetryRole = 'Monitoring Metrics Publisher'

resource componentRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: component
  name: guid(component.id, seeds.app, telemetryRole)
  properties: {
    description: telemetryRole
    principalId: principals.app.id
    principalType: principals.app.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[telemetryRole])
  }
}
